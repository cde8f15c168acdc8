"""A residual network of about one million parameters, small enough to train on two CPU cores."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.models.encoder import Encoder
from mmssl.models.image_input import ImageInput, InputColors, fill_cells

Norm = Literal["batch", "group"]
GROUP_CHANNELS = 8


class SmallResNet(Encoder):
    """Stem, then residual blocks at 1/4 and 1/8 of the input; every reduction keeps cells centred on their pixels.

    Args:
        input: What it sees of an image.
        stride: Pixels per cell; 4 leaves the last reduction out.
        feature_dim: Channels of the feature map.
        width: Channels at 1/2; twice as many at 1/4, four times at 1/8.
        num_blocks: Residual blocks at 1/4 and at 1/8.
        grid: Parts of the image, both ways, whose means of the map make the embedding, end to end. 1 tells what is seen and
            not where; more tell where as well, as a mouth needs of which only the lips move.
    """

    def __init__(
        self,
        *,
        input: InputColors = "rgb",  # noqa: A002
        stride: Literal[4, 8] = 8,
        feature_dim: int = 64,
        width: int = 32,
        num_blocks: tuple[int, int] = (2, 3),
        grid: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.input = input
        self.stride = stride
        self.grid = grid
        self.feature_dim = feature_dim
        self.dim = feature_dim * grid**2
        self.image_input = ImageInput(input)
        self.stem = nn.Sequential(
            nn.Conv2d(self.image_input.channels, width, 4, stride=2, padding=1, bias=False),
            norm_layer(width, norm),
            nn.ReLU(inplace=True),
        )
        self.middle = residual_stage(width, 2 * width, num_blocks[0], reduction=2, norm=norm)
        self.deep = residual_stage(2 * width, 4 * width, num_blocks[1], reduction=stride // 4, norm=norm)
        self.out = nn.Conv2d(4 * width, feature_dim, 1)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The means of the feature map's parts."""
        return functional.adaptive_avg_pool2d(self.features(images), self.grid).flatten(1)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        seen = self.image_input(fill_cells(images, self.stride))
        features: Tensor = self.out(self.deep(self.middle(self.stem(seen))))
        return features


def residual_stage(
    channels_in: int, channels_out: int, num_blocks: int, *, reduction: int, norm: Norm = "batch"
) -> nn.Sequential:
    """Residual blocks of two 3 x 3 convolutions each, the first of which makes the map smaller by `reduction`, 1 or 2."""
    first = _Block(channels_in, channels_out, reduction, norm)
    return nn.Sequential(first, *(_Block(channels_out, channels_out, 1, norm) for _ in range(num_blocks - 1)))


def norm_layer(channels: int, norm: Norm) -> nn.Module:
    """Normalization of a map; see `SmallResNet`."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(max(1, channels // GROUP_CHANNELS), channels)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; a reduction by 2 is a mean over 2 x 2, before both."""

    def __init__(self, channels_in: int, channels_out: int, reduction: int, norm: Norm) -> None:
        super().__init__()
        self.reduce = nn.AvgPool2d(2) if reduction == 2 else nn.Identity()
        self.residual = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            norm_layer(channels_out, norm),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            norm_layer(channels_out, norm),
        )
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        activated: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return activated
