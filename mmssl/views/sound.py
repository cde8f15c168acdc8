"""A window of sound as it is, or a part of it."""

import torch
from jaxtyping import Float32
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom


class SoundView:
    """Gives `sound`, `[batch, 1, samples]`, a random window of each clip, and `draw`, a whole number for each to draw by.

    Args:
        num_samples: Length of a part to cut out at random; all where not given.
    """

    def __init__(self, *, num_samples: int | None = None) -> None:
        if num_samples is not None and num_samples < 1:
            raise ConfigError(f"num_samples is {num_samples}; it must be above 0")
        self.num_samples = num_samples

    def __call__(self, clips: Float32[Tensor, "batch frames 1 samples"], random: ItemRandom) -> dict[str, Tensor]:
        """The windows.

        Raises:
            ConfigError: If the clips are pictures, or shorter than the part to cut out.
        """
        if clips.ndim != 4:
            raise ConfigError(
                "the view `sound` needs clips of sound, these are pictures; set sound in the decode stage"
            )
        windows = clips[torch.arange(len(clips)), random.integers("frame", high=clips.shape[1])]
        if self.num_samples is not None:
            room = windows.shape[2] - self.num_samples
            if room < 0:
                raise ConfigError(
                    f"num_samples is {self.num_samples}, but windows have {windows.shape[2]}; decode longer ones or lower it"
                )
            start = random.integers("start", high=room + 1)
            places = start[:, None] + torch.arange(self.num_samples)
            windows = windows.gather(2, places[:, None])
        return {"sound": windows, "draw": random.integers("draw", high=2**31)}
