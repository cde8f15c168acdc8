"""An encoder that looks at the image at half its size: the same cells, each with twice the surroundings."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.models.encoder import Encoder


class HalfSize(Encoder):
    """What an encoder sees from twice as far away, brought back to the cells it has from near.

    Beside the encoder itself in a `WeightedSum` it tells apart cells that look alike near by, and it bears blur; it costs
    a quarter of the encoder's own time.

    Args:
        encoder: Shared, not copied.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.input, self.stride = encoder.input, encoder.stride
        self.dim, self.feature_dim = encoder.dim, encoder.feature_dim

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The encoder's embeddings of the halved images."""
        embeddings: Tensor = self.encoder(_halved(images))
        return embeddings

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        rows, columns = (-(-side // self.stride) for side in images.shape[-2:])
        coarse = self.encoder.features(_halved(images))
        fine = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        return fine[:, :, :rows, :columns]


def _halved(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 h w"]:
    """Means over 2 x 2 pixels; the last row and column of an odd side stand twice."""
    height, width = images.shape[-2:]
    return functional.avg_pool2d(functional.pad(images, (0, width % 2, 0, height % 2), mode="replicate"), 2)
