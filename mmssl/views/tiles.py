"""Views of tasks that cut an image into a grid of three by three: neighbouring patches, and a jigsaw."""

from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.permutations import distant_permutations
from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame

_NEIGHBOURS = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8])
_MIDDLE = 4
_TILE_MEAN = 0.45
_TILE_STD = 0.225


class RelativePatchView:
    """Gives `pair`, `[batch, 2, 3, p, p]`, the middle patch and one of its eight neighbours, and `place`, `[batch]`.

    Patches lie in cells of a third of the image and are two thirds as wide, so that a gap of half a patch keeps edges from
    giving the answer; each lies a few pixels off the middle of its cell. Their colors are changed against the lens's
    aberration, which would give it too.

    Args:
        size: Side of the image in pixels; `p` is two ninths of it.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        jitter_share: Largest offset of a patch from the middle of its cell, as a share of the patch: 7 of 96 pixels.
        colors: `drop` leaves one channel and puts noise in the place of the others, `project` takes the axis from green to
            magenta out, `keep` does neither.

    Source:
        Doersch, Gupta and Efros 2015, arXiv:1505.05192, section 3.
    """

    def __init__(
        self,
        *,
        size: int = 432,
        scale: tuple[float, float] = (0.3, 1.0),
        jitter_share: float = 0.073,
        colors: Literal["drop", "project", "keep"] = "drop",
    ) -> None:
        self.cell = size // 3
        self.patch = round(size * 2 / 9)
        self.reach = min(round(jitter_share * self.patch), (self.cell - self.patch) // 2)
        self.colors = colors
        self.crop = _crop(size, scale)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The pair and its place: 0 to 7, row by row."""
        image = self.crop(random_frame(clips, random), random, "crop")
        place = random.integers("place", high=8)
        cells = torch.stack((torch.full_like(place, _MIDDLE), _NEIGHBOURS[place]), dim=1)
        middle = (self.cell - self.patch) // 2
        offsets = middle - self.reach + random.integers("jitter", (2, 2), high=2 * self.reach + 1)
        pair = _cut_tiles(image, cells, offsets, cell=self.cell, size=self.patch)
        if self.colors == "drop":
            pair = _drop_colors(pair, random)
        elif self.colors == "project":
            pair = _project_colors(pair)
        return {"pair": pair, "place": place}


class JigsawView:
    """Gives `tiles`, `[batch, 9, 3, t, t]`, in a known order, and `permutation`, `[batch]`, the number of that order.

    A tile lies at random in its cell of a third of the image; each channel of a tile has one mean and deviation, so that
    neither edges nor shades give the answer.

    Args:
        size: Side of the image in pixels.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        tile_share: Side of a tile, as a share of its cell: 64 of 75 pixels.
        num_permutations: As many as the objective knows; see `distant_permutations`.

    Source:
        Noroozi and Favaro 2016, arXiv:1603.09246, section 4.
    """

    def __init__(
        self,
        *,
        size: int = 225,
        scale: tuple[float, float] = (0.3, 1.0),
        tile_share: float = 64 / 75,
        num_permutations: int = 1000,
    ) -> None:
        self.cell = size // 3
        self.tile = round(tile_share * self.cell)
        if not 0 < self.tile <= self.cell:
            raise ConfigError(f"tile_share is {tile_share}; it must be above 0 and at most 1")
        self.permutations = distant_permutations(num_permutations)
        self.crop = _crop(size, scale)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The tiles and the number of their order."""
        image = self.crop(random_frame(clips, random), random, "crop")
        permutation = random.integers("permutation", high=len(self.permutations))
        cells = self.permutations[permutation]
        offsets = random.integers("offset", (9, 2), high=self.cell - self.tile + 1)
        tiles = _cut_tiles(image, cells, offsets, cell=self.cell, size=self.tile)
        centered = tiles - tiles.mean((-2, -1), keepdim=True)
        even = centered / centered.std((-2, -1), keepdim=True).clamp_min(1e-3)
        return {"tiles": (_TILE_MEAN + _TILE_STD * even).clamp(0, 1), "permutation": permutation}


def _crop(size: int, scale: tuple[float, float]) -> Augmentation:
    return Augmentation(size=size, scale=scale, jitter_probability=0.0, grey_probability=0.0, flip_probability=0.0)


def _cut_tiles(
    images: Float[Tensor, "batch 3 height width"],
    cells: Int[Tensor, "batch tiles"],
    offsets: Int[Tensor, "batch tiles 2"],
    *,
    cell: int,
    size: int,
) -> Float[Tensor, "batch tiles 3 size size"]:
    """Squares out of some cells of a grid of three by three; offsets are rows and columns from the cell's corner."""
    top = (cells // 3) * cell + offsets[..., 0]
    left = (cells % 3) * cell + offsets[..., 1]
    rows = (top[..., None] + torch.arange(size))[:, :, None, :, None]
    columns = (left[..., None] + torch.arange(size))[:, :, None, None, :]
    items = torch.arange(len(images))[:, None, None, None, None]
    channels = torch.arange(3)[None, None, :, None, None]
    return images[items, channels, rows, columns]


def _drop_colors(
    pair: Float[Tensor, "batch 2 3 size size"], random: ItemRandom
) -> Float[Tensor, "batch 2 3 size size"]:
    """One channel of each patch; in the place of the others grey with noise of a hundredth of that channel's deviation."""
    kept = torch.nn.functional.one_hot(random.integers("kept channel", (2,), high=3), 3)[..., None, None].bool()
    deviation = torch.where(kept, pair, 0.0).sum(2).std((-2, -1))[:, :, None, None, None]
    noise = random.normal("color noise", tuple(pair.shape[1:]))
    return torch.where(kept, pair, (0.5 + deviation / 100 * noise).clamp(0, 1))


def _project_colors(pair: Float[Tensor, "batch 2 3 size size"]) -> Float[Tensor, "batch 2 3 size size"]:
    """The colors without what they have of green against magenta."""
    axis = torch.tensor([-1.0, 2.0, -1.0])
    projection = torch.eye(3) - torch.outer(axis, axis) / axis.dot(axis)
    return torch.einsum("rc,btchw->btrhw", projection, pair).clamp(0, 1)
