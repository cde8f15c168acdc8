"""What an encoder is to the rest of the project."""

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module):
    """A network that turns RGB images in 0..1 into embeddings and feature maps.

    Encoders normalise their own input (and convert it to grey or Lab where they are made for that), so that no caller
    needs to know how. Attributes are set by the subclass.

    Cell `i` of a feature map stands for the pixels from `i * stride` to `(i + 1) * stride`, and is centred on them unless
    the subclass says otherwise; pixels that the last cell lacks repeat the image's edge.
    """

    dim: int
    """Length of an embedding."""

    feature_dim: int
    """Channels of a feature map."""

    stride: int
    """Pixels of the input per cell of a feature map, both ways."""

    input: str
    """What it sees of an image: `rgb`, `lab`, `lightness` alone or `ab` alone."""

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Embeds RGB images in 0..1; the embeddings are not normalised."""
        raise NotImplementedError

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps of RGB images in 0..1; `h = ceil(height / stride)`, likewise `w`. Not normalised."""
        raise NotImplementedError
