"""A window of sound, or a part of it, as it is or in other voices and rooms."""

import torch
from jaxtyping import Float32
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.sound_augmentation import SoundAugmentation

AUGMENTATION = SoundAugmentation(mask_probability=0.5)


class SoundView:
    """Gives `sound`, `[batch, 1, samples]`, a random window of each clip, and `draw`, a whole number for each to draw by.

    Where something is changed, also `later`: the same window as what it holds later is to be told from `sound`.

    Args:
        num_samples: Length of a part to cut out at random; all where not given.
        past: How `sound` is changed; not where not given.
        future: How `later` is changed, by other chances; not where not given.

    Source:
        Past and future augmented each by itself: Kharitonov et al. 2020, arXiv:2007.00991.
    """

    def __init__(
        self,
        *,
        num_samples: int | None = None,
        past: SoundAugmentation | None = None,
        future: SoundAugmentation | None = None,
    ) -> None:
        self.part = SoundPart(num_samples)
        self.past = past
        self.future = future

    def __call__(self, clips: Float32[Tensor, "batch frames 1 samples"], random: ItemRandom) -> dict[str, Tensor]:
        """The windows.

        Raises:
            ConfigError: If the clips are pictures, or shorter than the part to cut out.
        """
        windows = self.part(clips, random, "")
        batch = {"sound": windows, "draw": random.integers("draw", high=2**31)}
        if self.past is not None:
            batch["sound"] = self.past(windows, random, "past")
        if self.past is not None or self.future is not None:
            batch["later"] = windows if self.future is None else self.future(windows, random, "future")
        return batch


class SoundPairView:
    """Gives `view_1` and `view_2`, each `[batch, 1, samples]`, parts of a clip at two moments that are changed differently.

    Args:
        augmentation: How both are changed.
        num_samples: Length of a part; all where not given.
    """

    def __init__(self, *, augmentation: SoundAugmentation = AUGMENTATION, num_samples: int | None = None) -> None:
        self.part = SoundPart(num_samples)
        self.augmentation = augmentation

    def __call__(self, clips: Float32[Tensor, "batch frames 1 samples"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views; see `SoundView`."""
        return {
            name: self.augmentation(self.part(clips, random, f"{name}/"), random, name) for name in ("view_1", "view_2")
        }


class SoundPart:
    """Cuts a random part out of a random window of each clip.

    Args:
        num_samples: Its length; the whole window where not given.

    Raises:
        ConfigError: If the length is not above 0.
    """

    def __init__(self, num_samples: int | None) -> None:
        if num_samples is not None and num_samples < 1:
            raise ConfigError(f"num_samples is {num_samples}; it must be above 0")
        self.num_samples = num_samples

    def __call__(
        self, clips: Float32[Tensor, "batch frames 1 samples"], random: ItemRandom, prefix: str
    ) -> Float32[Tensor, "batch 1 part"]:
        """The parts.

        Args:
            clips: Windows of sound.
            random: One item a clip.
            prefix: Of the names of the draws.

        Raises:
            ConfigError: If the clips are pictures, or shorter than the part.
        """
        if clips.ndim != 4:
            raise ConfigError("this view needs clips of sound, these are pictures; set sound in the decode stage")
        windows = clips[torch.arange(len(clips)), random.integers(f"{prefix}frame", high=clips.shape[1])]
        if self.num_samples is None:
            return windows
        room = windows.shape[2] - self.num_samples
        if room < 0:
            raise ConfigError(
                f"num_samples is {self.num_samples}, but windows have {windows.shape[2]}; decode longer ones or lower it"
            )
        start = random.integers(f"{prefix}start", high=room + 1)
        return windows.gather(2, (start[:, None] + torch.arange(self.num_samples))[:, None])
