"""An image as a grid of overlapping patches, each encoded by itself."""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.config import Choice, Spec, build
from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.models.image_input import fill_cells
from mmssl.models.resnet import ResNet18
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.timm_encoder import TimmEncoder

PATCH_CHOICE = Choice({"resnet18": ResNet18, "small_resnet": SmallResNet, "timm": TimmEncoder}, "patch")


class PatchGrid(Encoder):
    """One network for each patch of a grid; the embedding of an image is the mean over the patches that lie within it.

    A cell of the feature map is the patch around the cell's pixels; beyond the edge the image's edge goes on.

    Args:
        patch: The network, with its settings. One with batch normalization lets patches of an image know of each other while it
            trains, which gives the answer of tasks that ask one about another: `norm: group`, or a model of timm without it.
        patch_size: Side of a patch in pixels.
        patch_step: From one patch to the next; half a patch where not given.

    Raises:
        ConfigError: If patches or steps are not above 0, or the steps leave gaps.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, section 3.3: 7 x 7 patches of 64 pixels, 32 apart.
    """

    def __init__(
        self, *, patch: Annotated[Spec | str, PATCH_CHOICE], patch_size: int = 64, patch_step: int | None = None
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.stride = max(1, patch_size // 2) if patch_step is None else patch_step
        if not 1 <= self.stride <= patch_size:
            raise ConfigError(f"patch_size is {patch_size} and patch_step {self.stride}; 1 <= patch_step <= patch_size")
        self.patch: Encoder = build(patch, PATCH_CHOICE)
        self.input = self.patch.input
        self.dim = self.feature_dim = self.patch.dim

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The mean over the patches within the image; one smaller than a patch is filled up by its edge."""
        return self._codes(fill_up(images, self.patch_size)).mean((2, 3))

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """The patch around each cell; see `Encoder`."""
        around = self.patch_size - self.stride
        before, after = around // 2, around - around // 2
        filled = fill_cells(images, self.stride)
        return self._codes(functional.pad(filled, (before, after, before, after), mode="replicate"))

    def _codes(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim rows columns"]:
        size = self.patch_size
        patches = images.unfold(2, size, self.stride).unfold(3, size, self.stride)
        rows, columns = patches.shape[2:4]
        flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, size, size)
        codes: Tensor = self.patch(flat)
        return codes.reshape(len(images), rows, columns, -1).movedim(3, 1)


def fill_up(images: Float[Tensor, "batch 3 height width"], side: int) -> Float[Tensor, "batch 3 filled_h filled_w"]:
    """Repeats the right and bottom edge until both sides are as long as `side` at least."""
    missing = [max(0, side - length) for length in images.shape[2:]]
    return functional.pad(images, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else images
