"""What every clip of a store is like: its frames, and the sound beside them where there is any."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mmssl.data.sound import ClipSize, PicturesAndSound, Sound, frame_shape


@dataclass(frozen=True)
class ClipForm:
    """Shapes and rates of clips that are all alike.

    Args:
        shape: Of the frames, the number of frames first.
        sample_rate: Hertz, where frames are windows of sound; None where they are pictures.
        sound_samples: Samples of the sound beside pictures; 0 where there is none.
        sound_rate: Its hertz.
    """

    shape: tuple[int, ...]
    sample_rate: int | None = None
    sound_samples: int = 0
    sound_rate: int | None = None

    @classmethod
    def of(cls, num_frames: int, size: ClipSize) -> "ClipForm":
        """The form of clips that are decoded so."""
        shape = (num_frames, *frame_shape(size))
        if isinstance(size, PicturesAndSound):
            return cls(shape, sound_samples=size.sound.num_samples, sound_rate=size.sound.sample_rate)
        return cls(shape, size.sample_rate if isinstance(size, Sound) else None)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "ClipForm":
        """What `facts` wrote; other entries are left alone."""
        return cls(
            tuple(facts["shape"]), facts.get("sample_rate"), facts.get("sound_samples", 0), facts.get("sound_rate")
        )

    @property
    def facts(self) -> dict[str, Any]:
        """As plain JSON values; what there is none of is left out."""
        every = {name: getattr(self, name) for name in ("shape", "sample_rate", "sound_samples", "sound_rate")}
        return {name: value for name, value in every.items() if value}

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """A clip's record: its frames, then the sound beside them."""
        frames = ("frames", "u1" if self.sample_rate is None else "<f4", self.shape)
        return np.dtype([frames, ("sound", "<f4", (1, self.sound_samples))] if self.sound_samples else [frames])
