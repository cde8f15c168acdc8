"""Frames of a video as features: what an encoder sees of each frame, and what it makes of several."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from mmssl.errors import CheckpointError
from mmssl.media.video import VideoFile
from mmssl.media.video_file import Size
from mmssl.models.encoder import Encoder


@runtime_checkable
class FeatureSource(Protocol):
    """Gives the features of frames in two steps, so that the first can run ahead in a thread."""

    encoded: Size
    """Height and width at which frames are encoded."""

    stride: int
    """Encoded pixels a cell."""

    device: torch.device
    """Where features are."""

    def frames(self, source: VideoFile, *, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """Index and raw material of each frame, in order."""

    def __call__(self, frames: Sequence[Tensor]) -> Float[Tensor, "frames dim rows columns"]:
        """Features of frames given their raw material."""


class FrameEncoder:
    """An encoder together with the size at which it sees the frames of one video.

    Args:
        encoder: Gives the features; put into evaluation mode.
        name: For messages.
        encoded: Height and width to which frames are brought.
    """

    def __init__(self, encoder: Encoder, name: str, encoded: Size) -> None:
        self.encoder, self.name, self.encoded, self.stride = encoder.eval(), name, encoded, encoder.stride
        self.device = next(itertools.chain(encoder.parameters(), encoder.buffers()), torch.empty(0)).device

    def frames(
        self, source: VideoFile, *, start: int, stop: int
    ) -> Iterator[tuple[int, UInt8[Tensor, "3 encoded_height encoded_width"]]]:
        """Frames in order, at the size at which they are encoded."""
        for index, frame in source.iterate(start=start, stop=stop):
            if tuple(frame.shape[1:]) == self.encoded:
                yield index, frame.contiguous()
            else:
                images = frame.contiguous()[None]
                yield (
                    index,
                    F.interpolate(images, self.encoded, mode="bilinear", align_corners=False, antialias=True)[0],
                )

    def __call__(
        self, frames: Sequence[UInt8[Tensor, "3 encoded_height encoded_width"]]
    ) -> Float[Tensor, "frames dim rows columns"]:
        """Features as the encoder gives them.

        Raises:
            CheckpointError: If a feature is not finite.
        """
        with torch.inference_mode():
            features = self.encoder.features(torch.stack(list(frames)).to(self.device).float() / 255)
        if not bool(torch.isfinite(features).all()):
            raise CheckpointError(f"{self.name}: gives features that are not finite (NaN or infinite)")
        return features
