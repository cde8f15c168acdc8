"""What an encoder of images and text is to the rest of the project."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.functional.framing import Framing
from mmssl.models.encoder import Encoder
from mmssl.models.time_pool import MeanOverTime, TransformerOverTime

MAX_LOG_SCALE = math.log(100.0)
"""Where the learned scale is stopped. Source: Radford et al. 2021, arXiv:2103.00020, section 2.5."""


class ImageTextEncoder(Encoder):
    """An encoder that puts images and sentences into one space, where what belongs together is near.

    As an `Encoder` it is its image tower. Attributes are set by the subclass.
    """

    framing: Framing
    """How an image becomes what the image tower was trained with."""

    pool: MeanOverTime | TransformerOverTime
    """Makes one embedding of those of a clip's frames, see `time_pool`."""

    @property
    def log_scale(self) -> nn.Parameter:
        """Logarithm of what cosine similarities are multiplied with; learned."""
        raise NotImplementedError

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """Sentences as numbers of tokens; what is too long is cut off."""
        raise NotImplementedError

    def embed_tokens(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """Embeds sentences; the embeddings are not normalised."""
        raise NotImplementedError

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts dim"]:
        """`embed_tokens` of `tokenize`, on the encoder's device."""
        return self.embed_tokens(self.tokenize(texts).to(self.log_scale.device))

    def over_frames(self, embeddings: Float[Tensor, "clips frames dim"]) -> Float[Tensor, "clips dim"]:
        """See `Encoder`; by `pool`."""
        pooled: Tensor = self.pool(embeddings)
        return pooled

    @property
    def clip_is(self) -> str:
        """See `Encoder`."""
        return self.pool.clip_is

    def embed_frames(self, frames: Float[Tensor, "clips frames 3 height width"]) -> Float[Tensor, "clips dim"]:
        """Embeds clips, in the space of images and sentences; the embeddings are not normalised."""
        return self.over_frames(each_frame(self, frames))

    @property
    def scale(self) -> float:
        """What cosine similarities are multiplied with before a softmax."""
        return float(self.log_scale.detach().exp())

    def _fitted(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 new_height new_width"]:
        """Images at the size of `framing`; those of another size are squashed to it."""
        if tuple(images.shape[-2:]) == self.framing.size:
            return images
        mode = "bicubic" if self.framing.bicubic else "bilinear"
        return interpolate(images, self.framing.size, mode=mode, antialias=True).clamp(0, 1)


def each_frame(
    function: Callable[[Tensor], Tensor], frames: Float[Tensor, "clips frames ..."]
) -> Float[Tensor, "clips frames ..."]:
    """What a function of images makes of every frame of clips."""
    found = function(frames.flatten(0, 1))
    return found.reshape(*frames.shape[:2], *found.shape[1:])


def new_log_scale(temperature: float = 0.07) -> nn.Parameter:
    """The learned scale as CLIP begins with it."""
    return nn.Parameter(torch.tensor(math.log(1 / temperature)))
