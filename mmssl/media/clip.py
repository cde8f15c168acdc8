"""What decoding yields: pixels or samples together with the time they belong to."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """Frames of a video and the exact time each is presented; an image is a clip of one frame at 0 s.

    A clip of sound has windows of sound for frames, and the time of each window's first sample.

    Args:
        frames: RGB, or amplitudes of one channel.
        pts_seconds: Presentation times in ascending order, on the time axis of the file.
        sound: Of pictures, where it is wanted: what is heard from the first frame on.

    Raises:
        ValueError: If the first two differ in length, a time is not finite or goes backwards, or frames of sound have sound
            beside them.
    """

    frames: UInt8[Tensor, "frames 3 height width"] | Float32[Tensor, "frames 1 samples"]
    pts_seconds: Float64[Tensor, " frames"]
    sound: Float32[Tensor, "1 samples"] | None = None

    def __post_init__(self) -> None:
        pictures = self.frames.ndim == 4 and self.frames.shape[1] == 3 and self.frames.dtype == torch.uint8
        sound = self.frames.ndim == 3 and self.frames.shape[1] == 1 and self.frames.dtype == torch.float32
        if not (pictures or sound):
            raise ValueError(
                "frames must be uint8 [frames, 3, height, width] or float32 [frames, 1, samples], got "
                f"{self.frames.dtype} {tuple(self.frames.shape)}"
            )
        if sound and self.sound is not None:
            raise ValueError("frames of sound have no sound beside them")
        if len(self.frames) != len(self.pts_seconds):
            raise ValueError(f"{len(self.frames)} frames but {len(self.pts_seconds)} timestamps")
        if not bool(torch.isfinite(self.pts_seconds).all()):
            raise ValueError("a timestamp is not finite")
        if bool((self.pts_seconds.diff() < 0).any()):
            raise ValueError("timestamps must not go backwards")


@dataclass(frozen=True)
class Footage:
    """A batch of clips that are seen and heard.

    Args:
        frames: RGB.
        seconds: When each frame is presented after the first sample of its clip's sound; the first frames at 0.
        sound: Amplitudes of one channel.
        sample_rate: In hertz.

    Raises:
        ValueError: If the numbers of clips or frames differ, or the rate is not positive.
    """

    frames: UInt8[Tensor, "batch frames 3 height width"]
    seconds: Float64[Tensor, "batch frames"]
    sound: Float32[Tensor, "batch 1 samples"]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.frames.shape[:2] != self.seconds.shape or len(self.frames) != len(self.sound):
            raise ValueError(
                f"frames {tuple(self.frames.shape)}, seconds {tuple(self.seconds.shape)} and sound "
                f"{tuple(self.sound.shape)} are not of the same clips"
            )
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, got {self.sample_rate}")

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Waveform:
    """Sound and the time of its first sample.

    Args:
        samples: Amplitudes, usually within -1 to 1.
        sample_rate: In hertz.
        start_seconds: Time of the first sample, on the time axis of the file.

    Raises:
        ValueError: If the samples are not float32 [channels, samples], or the rate is not positive.
    """

    samples: Float[Tensor, "channels samples"]
    sample_rate: int
    start_seconds: int | float = 0.0

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != torch.float32:
            raise ValueError(
                f"samples must be float32 [channels, samples], got {self.samples.dtype} {tuple(self.samples.shape)}"
            )
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, got {self.sample_rate}")

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate
