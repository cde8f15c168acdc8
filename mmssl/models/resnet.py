"""ResNet-18, at the strides that dense tasks need, and with the small stem that small images need."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.models.image_input import ImageInput, InputColors, fill_cells


class ResNet18(Encoder):
    """torchvision's ResNet-18 without its classifier; embeddings are means over the last block's map.

    Args:
        input: What it sees of an image.
        stride: Pixels per cell: 32, or 16, 8 or 4, for which the last blocks keep their resolution; with `small_images`,
            8, or 4 or 2.
        small_images: A 3 x 3 first convolution and no max-pooling, for images of about 32 x 32 pixels.
    """

    def __init__(
        self,
        *,
        input: InputColors = "rgb",  # noqa: A002
        stride: int = 8,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        allowed = (8, 4, 2) if small_images else (32, 16, 8, 4)
        if stride not in allowed:
            raise ConfigError(f"stride is {stride}; with small_images = {small_images} it can be one of {allowed}")
        from torchvision.models.resnet import BasicBlock, ResNet

        self.input = input
        self.stride = stride
        self.dim = self.feature_dim = 512
        self.image_input = ImageInput(input)
        trunk = ResNet(BasicBlock, [2, 2, 2, 2])
        if small_images:
            first = nn.Conv2d(self.image_input.channels, 64, 3, padding=1, bias=False)
        else:
            first = nn.Conv2d(self.image_input.channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
        pool = nn.Identity() if small_images else trunk.maxpool
        self.stem = nn.Sequential(first, trunk.bn1, trunk.relu, pool)
        self.blocks = nn.Sequential(trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
        for layer in (trunk.layer2, trunk.layer3, trunk.layer4)[3 - allowed.index(stride) :]:
            layer[0].conv1.stride = layer[0].downsample[0].stride = (1, 1)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The mean of the last block's map."""
        return self._map(images).mean((2, 3))

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`.

        The network centres its cells on every `stride`-th pixel from the first; half a cell of repeated edge before the
        image, and leaving out the cell that looks at it, centres them on their pixels.
        """
        half = self.stride // 2
        padded = functional.pad(fill_cells(images, self.stride), (half, 0, half, 0), mode="replicate")
        return self._map(padded)[:, :, 1:, 1:]

    def _map(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.stem(self.image_input(images)))
        return features
