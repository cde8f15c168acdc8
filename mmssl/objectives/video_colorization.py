"""Video colorization: a grey frame takes its colors from earlier frames, and learns to track on the way."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb, quantize_ab, rgb_to_lab
from mmssl.functional.copying import attend
from mmssl.functional.kmeans import kmeans
from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output

_POINTS_FOR_CENTERS = 20_000
_SMALLEST_PROBABILITY = 1e-12


class VideoColorization(Objective):
    """Each cell of the last frame copies colors from all cells of the frames before it, where their features agree.

    The encoder sees lightness alone; colors are the targets. What it learns is where each cell came from, which is what
    label propagation needs.

    Args:
        encoder: Its input must be `lightness`.
        num_colors: Clusters of the ab plane, found by `prepare`.
        temperature: Of the softmax over reference cells; 1 in the paper.
        normalize: Whether features are L2-normalised first, as they are when labels are propagated; not so in the paper.

    Raises:
        ConfigError: If the encoder sees colors.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "frames", "num_frames": 4}
    source = "Vondrick et al. 2018, arXiv:1806.09594"

    centers: Tensor

    def __init__(
        self, encoder: Encoder, *, num_colors: int = 16, temperature: float = 0.07, normalize: bool = True
    ) -> None:
        super().__init__(encoder)
        if encoder.input != "lightness":
            raise ConfigError(
                f"video_colorization needs an encoder that sees no colors, this one's input is {encoder.input!r}; "
                "set `input: lightness` on the encoder"
            )
        self.temperature = temperature
        self.normalize = normalize
        self.register_buffer("centers", torch.full((num_colors, 2), torch.nan))

    def prepare(self, batch: Batch) -> None:
        """Finds the color clusters in a batch's frames."""
        ab = rgb_to_lab(batch["frames"])[:, :, 1:]
        colors = ab.transpose(1, 2).flatten(2).transpose(1, 2).reshape(-1, 2)
        every = max(1, len(colors) // _POINTS_FOR_CENTERS)
        self.centers.copy_(kmeans(colors[::every], num_clusters=len(self.centers)))

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames`: cross-entropy of the last one's color clusters, at the resolution of the features.

        Returns:
            Also `accuracy`, the share of cells with the right cluster, and `accuracy_in_place`, the same for colors copied
            from the same cell of the frame before.
        """
        frames = batch["frames"]
        features = self._features(frames)
        colors = self._colors(frames, cells=features.shape[-2:])
        carried = functional.one_hot(colors[:, :-1], len(self.centers)).movedim(-1, 2)
        copied = attend(features[:, -1], features[:, :-1], carried.float(), temperature=self.temperature)
        target = colors[:, -1]
        loss = functional.nll_loss(copied.clamp_min(_SMALLEST_PROBABILITY).log(), target)
        return {
            "loss": loss,
            "accuracy": (copied.detach().argmax(1) == target).float().mean(),
            "accuracy_in_place": (colors[:, -2] == target).float().mean(),
        }

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """The last frames of a few clips: grey, with copied colors, with their own."""
        training = self.training
        self.eval()
        frames = batch["frames"][:4]
        features = self._features(frames)
        self.train(training)
        lab = rgb_to_lab(frames)
        ab = _reduce(lab[:, :, 1:], features.shape[-2:])
        copied = attend(features[:, -1], features[:, :-1], ab[:, :-1], temperature=self.temperature)
        copied = functional.interpolate(copied, size=frames.shape[-2:], mode="bilinear")
        lightness = lab[:, -1, :1]
        grey = torch.cat((lightness, torch.zeros_like(copied)), dim=1)
        colored = torch.cat((lightness, copied), dim=1)
        columns = torch.cat((lab_to_rgb(grey), lab_to_rgb(colored), frames[:, -1]), dim=-1)
        return {"grey, copied colors, true colors": torch.cat(tuple(columns), dim=-2)}

    def _features(self, frames: Float[Tensor, "batch frames 3 height width"]) -> Float[Tensor, "batch frames dim h w"]:
        maps = self.encoder.features(frames.flatten(0, 1))
        features = maps.reshape(*frames.shape[:2], *maps.shape[1:])
        return functional.normalize(features, dim=2) if self.normalize else features

    def _colors(
        self, frames: Float[Tensor, "batch frames 3 height width"], *, cells: torch.Size
    ) -> Int[Tensor, "batch frames h w"]:
        """Color cluster of each cell.

        Raises:
            RuntimeError: If `prepare` was not called.
        """
        if bool(self.centers.isnan().any()):
            raise RuntimeError("video_colorization has no color clusters; call prepare(batch) before the first step")
        return quantize_ab(_reduce(rgb_to_lab(frames)[:, :, 1:], cells), self.centers)


def _reduce(
    maps: Float[Tensor, "batch frames channels height width"], cells: torch.Size
) -> Float[Tensor, "batch frames channels h w"]:
    """The mean over the pixels of each cell."""
    means = functional.interpolate(maps.flatten(0, 1), size=tuple(cells), mode="area")
    return means.reshape(*maps.shape[:3], *cells)
