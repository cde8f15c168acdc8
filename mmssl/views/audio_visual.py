"""Some moments of a clip, each with what is seen and what is heard at the same time."""

import torch
from jaxtyping import Int
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Footage
from mmssl.views.crop import cut, random_boxes


class AudioVisualView:
    """Gives `frames`, `[batch, moments, frames, 3, size, size]`, and `sound`, `[batch, moments, 1, samples]`.

    The window of sound of a moment lies around the middle of the time that its frames are shown. All moments of a clip have
    the same crop and are apart, so that the sound of one is a hard negative of the pictures of another.

    Args:
        size: Side of a frame in pixels.
        num_frames: Frames of a moment.
        frame_step: From one frame taken to the next.
        window_seconds: Length of a window of sound.
        num_moments: Of each clip.
        seconds_apart: From one moment of a clip to the next, at least; as many frames as this is on average.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        flip_probability: Of a mirrored clip.

    Raises:
        ConfigError: If a number is out of range.
    """

    hears = True

    def __init__(
        self,
        *,
        size: int = 128,
        num_frames: int = 12,
        frame_step: int = 1,
        window_seconds: float = 0.48,
        num_moments: int = 2,
        seconds_apart: float = 0.4,
        scale: tuple[float, float] = (0.5, 1.0),
        flip_probability: float = 0.5,
    ) -> None:
        if min(num_frames, frame_step, num_moments) < 1 or window_seconds <= 0 or seconds_apart < 0:
            raise ConfigError(
                f"num_frames {num_frames}, frame_step {frame_step} and num_moments {num_moments} must be at least 1, "
                f"window_seconds {window_seconds} above 0 and seconds_apart {seconds_apart} not below"
            )
        self.size = size
        self.num_frames = num_frames
        self.frame_step = frame_step
        self.window_seconds = window_seconds
        self.num_moments = num_moments
        self.seconds_apart = seconds_apart
        self.scale = scale
        self.flip_probability = flip_probability

    def __call__(self, clips: Footage, random: ItemRandom) -> dict[str, Tensor]:
        """The moments.

        Raises:
            ConfigError: If the clips are too short for so many moments.
        """
        firsts, begins = self._moments(clips, random)
        height, width = clips.frames.shape[-2:]
        boxes = random_boxes(random, "crop", height=height, width=width, scale=self.scale)
        flip = random.uniform("flip") < self.flip_probability
        chosen = firsts[:, :, None] + self.frame_step * torch.arange(self.num_frames)
        frames = cut(clips.frames, boxes, size=self.size, flip=flip, chosen=chosen.flatten(1))
        places = begins[:, :, None] + torch.arange(round(self.window_seconds * clips.sample_rate))
        sound = clips.sound[:, 0].gather(1, places.flatten(1))
        return {
            "frames": frames.reshape(*chosen.shape, *frames.shape[2:]),
            "sound": sound.reshape(places.shape)[:, :, None],
        }

    def _moments(
        self, clips: Footage, random: ItemRandom
    ) -> tuple[Int[Tensor, "batch moments"], Int[Tensor, "batch moments"]]:
        """First frame and first sample of each moment, ascending."""
        firsts, begins = window_begins(
            clips, num_frames=self.num_frames, frame_step=self.frame_step, window_seconds=self.window_seconds
        )
        num_frames = clips.frames.shape[1]
        frame_seconds = float(clips.seconds[:, -1].mean()) / max(1, num_frames - 1)
        apart = round(self.seconds_apart / frame_seconds) if frame_seconds else 0
        room = len(firsts) - 1 - (self.num_moments - 1) * apart
        if room < 0:
            raise ConfigError(
                f"the view audio_visual wants {self.num_moments} moments of {self.num_frames} frames and "
                f"{self.window_seconds} s of sound, {self.seconds_apart} s apart, and the clips have {num_frames} frames of "
                f"{frame_seconds:.3f} s and {clips.sound.shape[2] / clips.sample_rate:.2f} s of sound; decode longer clips or "
                "lower these"
            )
        drawn = random.integers("moments", (self.num_moments,), high=room + 1).sort(1).values
        places = drawn + apart * torch.arange(self.num_moments)
        return firsts[places], begins.gather(1, places)


def window_begins(
    clips: Footage, *, num_frames: int, frame_step: int, window_seconds: float
) -> tuple[Int[Tensor, " starts"], Int[Tensor, "batch starts"]]:
    """Where moments of clips can begin.

    Args:
        clips: Of frames in order of time.
        num_frames: Of a moment.
        frame_step: From one of its frames to the next.
        window_seconds: Of its window of sound, around the middle of the time that its frames are shown.

    Returns:
        The first frames whose moment, frames and sound, lies within all clips; and of each clip and such a moment the first
        sample of its sound.
    """
    seconds = clips.seconds
    total = seconds.shape[1]
    starts = torch.arange(max(0, total - (num_frames - 1) * frame_step))
    shown = seconds[:, -1:] / max(1, total - 1)
    middles = (seconds[:, starts] + seconds[:, starts + (num_frames - 1) * frame_step] + shown) / 2
    begins = ((middles - window_seconds / 2) * clips.sample_rate).round().long()
    last = clips.sound.shape[2] - round(window_seconds * clips.sample_rate)
    fits = ((begins >= 0) & (begins <= last)).all(0)
    return starts[fits], begins[:, fits]
