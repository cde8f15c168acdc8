"""What an encoder is to the rest of the project."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmssl.errors import ConfigError


class Encoder(nn.Module):
    """A network that turns RGB images in 0..1, or windows of sound, into embeddings and feature maps.

    Encoders normalise their own input (and convert it to grey or Lab where they are made for that), so that no caller
    needs to know how. Attributes are set by the subclass.

    Cell `i` of a feature map stands for the pixels from `i * stride` to `(i + 1) * stride`, and is centred on them unless
    the subclass says otherwise; pixels that the last cell lacks repeat the image's edge. Encoders of sound take
    `[batch, 1, samples]` and give feature maps `[batch, feature_dim, cells]`; their cells stand for samples likewise.
    """

    dim: int
    """Length of an embedding."""

    feature_dim: int
    """Channels of a feature map."""

    stride: int
    """Pixels of the input per cell of a feature map, both ways; samples of sound."""

    input: str
    """What it sees of an image: `rgb`, `lab`, `lightness` alone or `ab` alone; or `sound`."""

    sample_rate: int | None = None
    """Hertz of the sound that it hears; None for images."""

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Embeds RGB images in 0..1; the embeddings are not normalised."""
        raise NotImplementedError

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps of RGB images in 0..1; `h = ceil(height / stride)`, likewise `w`. Not normalised."""
        raise NotImplementedError

    def over_frames(self, embeddings: Float[Tensor, "clips frames dim"]) -> Float[Tensor, "clips dim"]:
        """A clip's embedding from those of its frames: their mean, unless the encoder knows better."""
        return embeddings.mean(1)

    @property
    def clip_is(self) -> str:
        """What `over_frames` makes of the embeddings of a clip's frames, as protocols say it."""
        return "the mean of its frames'"

    def check_fits(self, sample_rate: int | None) -> None:
        """Refuses clips that this encoder is not made for.

        Args:
            sample_rate: Hertz of the clips' sound; None where they are pictures.

        Raises:
            ConfigError: If they are not what it takes.
        """
        if sample_rate != self.sample_rate:
            raise ConfigError(
                f"the encoder takes {_in_words(self.sample_rate)}, but the clips are {_in_words(sample_rate)}; decode "
                "clips that suit it, or take another encoder"
            )


def encoder_input(frames: Tensor) -> Tensor:
    """Stored frames as encoders take them: uint8 pixels as float RGB in 0..1, sound as it is."""
    return frames if frames.is_floating_point() else frames.to(torch.float32).div(255.0)


def _in_words(sample_rate: int | None) -> str:
    return "pictures" if sample_rate is None else f"sound of {sample_rate} Hz"
