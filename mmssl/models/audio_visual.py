"""A tower for what is seen and a tower for what is heard, which put the same stretch of time at the same place."""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.config import Choice, Spec, build
from mmssl.models.audio_encoder import AudioEncoder
from mmssl.models.cpc_encoder import CPCEncoder
from mmssl.models.encoder import Encoder
from mmssl.models.image_text import new_log_scale
from mmssl.models.spectral import MFCC, LogMel
from mmssl.models.towers import IMAGE_CHOICE

SOUND_CHOICE = Choice({"cpc_encoder": CPCEncoder, "log_mel": LogMel, "mfcc": MFCC}, "sound tower")

KERNEL = 5


class AudioVisualTowers(Encoder):
    """An encoder of frames and one of sound, each with convolutions over time and a projection to a space that both share.

    As an `Encoder` it is the encoder of frames: `forward` embeds one frame, without time and projection.

    Args:
        image: Encoder of frames, with its settings.
        sound: Encoder of sound, whose feature maps are used; `log_mel` and `mfcc` have no weights.
        projection_dim: Length of an embedding of a stretch of time.
        hidden_dim: Channels of the convolutions over time.
        num_parts: Into how many parts, one after the other, a stretch of time is divided: what happens within a part is a mean.

    Source:
        A stretch of a few frames and of sound, each to a vector: Chung and Zisserman 2016, "Out of time: automated lip sync in
        the wild", doi:10.1007/978-3-319-54427-4_19.
    """

    def __init__(
        self,
        *,
        image: Annotated[Spec | str, IMAGE_CHOICE],
        sound: Annotated[Spec | str, SOUND_CHOICE] = "log_mel",
        projection_dim: int = 128,
        hidden_dim: int = 128,
        num_parts: int = 6,
    ) -> None:
        super().__init__()
        self.image: Encoder = build(image, IMAGE_CHOICE)
        self.sound: AudioEncoder = build(sound, SOUND_CHOICE)
        self.image_head = TimeHead(self.image.dim, hidden_dim, num_parts, projection_dim)
        self.sound_head = TimeHead(self.sound.feature_dim, hidden_dim, num_parts, projection_dim)
        self.log_scale = new_log_scale()
        self.dim, self.feature_dim = self.image.dim, self.image.feature_dim
        self.input, self.stride = self.image.input, self.image.stride

    @property
    def sound_rate(self) -> int:
        """Hertz of the sound that it hears beside pictures."""
        rate = self.sound.sample_rate
        assert rate is not None
        return rate

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """Embeds single RGB images in 0..1."""
        embeddings: Tensor = self.image(images)
        return embeddings

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps of single images; see `Encoder`."""
        return self.image.features(images)

    def embed_frames(
        self, frames: Float[Tensor, "batch frames 3 height width"]
    ) -> Float[Tensor, "batch projection_dim"]:
        """Embeds what is seen in a stretch of time; not normalised."""
        each: Tensor = self.image(frames.flatten(0, 1))
        embeddings: Tensor = self.image_head(each.reshape(*frames.shape[:2], -1).transpose(1, 2))
        return embeddings

    def embed_sound(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch projection_dim"]:
        """Embeds what is heard in it; not normalised."""
        embeddings: Tensor = self.sound_head(self.sound.features(sound))
        return embeddings


class TimeHead(nn.Module):
    """Features at moments of any number to one embedding that says what came when.

    Args:
        dim: Of the features.
        hidden_dim: Channels of the convolutions.
        num_parts: See `AudioVisualTowers`.
        out_dim: Length of the embedding.
    """

    def __init__(self, dim: int, hidden_dim: int, num_parts: int, out_dim: int) -> None:
        super().__init__()
        self.num_parts = num_parts
        layers: list[nn.Module] = [nn.BatchNorm1d(dim)]
        for channels in (dim, hidden_dim):
            layers += [
                nn.Conv1d(channels, hidden_dim, KERNEL, padding=KERNEL // 2, bias=False),
                nn.BatchNorm1d(hidden_dim),
                nn.ReLU(inplace=True),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.out = nn.Linear(hidden_dim * num_parts, out_dim, bias=False)

    def forward(self, features: Float[Tensor, "batch dim times"]) -> Float[Tensor, "batch out_dim"]:
        """The embeddings; not normalised."""
        parts = functional.adaptive_avg_pool1d(self.convolutions(features), self.num_parts)
        embeddings: Tensor = self.out(parts.flatten(1))
        return embeddings
