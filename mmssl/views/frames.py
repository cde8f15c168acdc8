"""Frames of a clip, in order, through one crop or crops near each other: for objectives that compare moments of a video."""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.color_jitter import jitter_colors
from mmssl.views.crop import central_box, cut, moved_boxes, random_boxes


class FramesView:
    """Gives `frames`, `[batch, frames, 3, size, size]`, from a random place in each clip; the last one is the target.

    Also `chance`, `[batch, frames]`, a random number in 0..1 a frame for objectives that draw lots; and, where asked for,
    `visible`, `[batch, 3]`, 1 for each Lab channel that the encoder may see and 0 for each hidden one, and `seen`, the
    frames as the encoder sees them, where that is not as they are.

    Args:
        size: Side of a frame in pixels.
        num_frames: Frames of each clip to take.
        frame_step: From one frame taken to the next: a number, or the smallest and the largest to draw one from for each
            item.
        references: Frames of the clip from each reference to the target, such as `[16, 8, 5, 3, 1]` for two far ones and
            three near ones; takes the place of `num_frames` and `frame_step`. Source: Lai et al. 2020, arXiv:2002.07793,
            section 3.2 (MAST).
        scale: Smallest and largest area of the crop, as a share of the frame's.
        ratio: Smallest and largest width / height of the crop; `[1, 1]` with a scale of `[1, 1]` is the whole of a square frame.
        flip_probability: Of a mirrored clip.
        reference_zoom: Each reference is cut from a box of its own, up to this factor larger or smaller than the target's,
            and
        reference_shift: its center up to this share of the target's box away, each way. The place of a cell then says
            nothing about where its colors are, nor does its size; without either, networks learn to look at the same
            place first.
        channel_dropout: How often which Lab channels are hidden from the encoder in all frames of an item: `{"a": 0.5,
            "b": 0.5}` is MAST; `{"ab": 0.35, "a": 0.25}` leaves all visible in the other 40 %. Source: Lai and Xie 2019,
            arXiv:1905.00875, section 3.2 (CorrFlow), and MAST.
        jitter_strength: Of the changes of brightness, contrast, saturation and hue in `seen`, each frame's its own.

    Raises:
        ConfigError: If `channel_dropout` names other channels or its shares sum to more than 1.
    """

    def __init__(
        self,
        *,
        size: int = 128,
        num_frames: int = 4,
        frame_step: int | tuple[int, int] = 1,
        references: list[int] | None = None,
        scale: tuple[float, float] = (0.3, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip_probability: float = 0.5,
        reference_zoom: float = 1.0,
        reference_shift: float = 0.0,
        channel_dropout: dict[str, float] | None = None,
        jitter_strength: float = 0.0,
    ) -> None:
        self.size = size
        self.num_frames = num_frames
        self.frame_step = frame_step
        self.references = references
        self.scale = scale
        self.ratio = ratio
        self.flip_probability = flip_probability
        self.reference_zoom = reference_zoom
        self.reference_shift = reference_shift
        if reference_zoom < 1 or reference_shift < 0:
            raise ConfigError(
                f"reference_zoom is {reference_zoom} and reference_shift {reference_shift}; they must be at least 1 and 0"
            )
        self.patterns = None if channel_dropout is None else _patterns(channel_dropout)
        self.jitter_strength = jitter_strength

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames.

        Raises:
            ConfigError: If the clips are too short.
        """
        available, _, height, width = clips.shape[1:]
        before_target = self._before_target(random)
        span = before_target[:, 0] + 1
        longest = self._longest_span()
        if longest > available:
            raise ConfigError(
                f"the view `frames` needs clips of at least {longest} frames (num_frames {self.num_frames}, frame_step "
                f"{self.frame_step}, references {self.references}), these have {available}; decode longer clips or lower "
                "these"
            )
        start = (random.uniform("start") * (available - span + 1)).long()
        positions = (start + span - 1)[:, None] - before_target
        boxes = random_boxes(random, "crop", height=height, width=width, scale=self.scale, ratio=self.ratio)
        flip = random.uniform("flip") < self.flip_probability
        frames = self._cut(clips, positions, boxes, flip, random)
        batch = {"frames": frames, "chance": random.uniform("chance", (frames.shape[1],))}
        if self.patterns is not None:
            shares, visible = self.patterns
            batch["visible"] = visible[torch.bucketize(random.uniform("channels"), shares, right=True)]
        if self.jitter_strength:
            batch["seen"] = torch.stack(
                [
                    jitter_colors(
                        frames[:, place],
                        random,
                        f"jitter {place}",
                        strength=self.jitter_strength,
                        grey_probability=0.0,
                    )
                    for place in range(frames.shape[1])
                ],
                dim=1,
            )
        return batch

    def _cut(
        self,
        clips: UInt8[Tensor, "items clip_frames 3 height width"],
        positions: Int[Tensor, "items frames"],
        boxes: Int[Tensor, "items 4"],
        flip: Bool[Tensor, " items"],
        random: ItemRandom,
    ) -> Float[Tensor, "items frames 3 size size"]:
        """The target through its box, and each reference through its own where it has one."""
        if self.reference_zoom == 1 and self.reference_shift == 0:
            return cut(clips, boxes, size=self.size, flip=flip, chosen=positions)
        height, width = clips.shape[-2:]
        last = positions.shape[1] - 1
        cuts = []
        for place in range(last + 1):
            moved = boxes
            if place < last:
                moved = moved_boxes(
                    boxes,
                    random,
                    f"reference {place}",
                    height=height,
                    width=width,
                    zoom=self.reference_zoom,
                    shift=self.reference_shift,
                )
            cuts.append(cut(clips, moved, size=self.size, flip=flip, chosen=positions[:, place : place + 1]))
        return torch.cat(cuts, dim=1)

    def _before_target(self, random: ItemRandom) -> Int[Tensor, "items frames"]:
        """How many frames of the clip before the target each frame lies, in the order of time."""
        if self.references is not None:
            return torch.tensor([*sorted(self.references, reverse=True), 0]).expand(len(random), -1)
        low, high = (self.frame_step, self.frame_step) if isinstance(self.frame_step, int) else self.frame_step
        step = low + random.integers("step", high=high - low + 1)
        return step[:, None] * torch.arange(self.num_frames - 1, -1, -1)

    def _longest_span(self) -> int:
        if self.references is not None:
            return max(self.references) + 1
        step = self.frame_step if isinstance(self.frame_step, int) else max(self.frame_step)
        return (self.num_frames - 1) * step + 1


def _patterns(shares: dict[str, float]) -> tuple[Float[Tensor, " patterns"], Float[Tensor, "all_patterns 3"]]:
    """Upper ends of the patterns' parts of 0..1, and the channels that each leaves visible; the rest leaves all."""
    if any(not channels or set(channels) - set("Lab") or share < 0 for channels, share in shares.items()):
        raise ConfigError(f"channel_dropout is {shares}; write letters of L, a and b with a share of at least 0 each")
    if sum(shares.values()) > 1 + 1e-6:
        raise ConfigError(f"channel_dropout is {shares}; its shares sum to more than 1")
    visible = [[float(channel not in channels) for channel in "Lab"] for channels in shares]
    ends = torch.tensor(list(shares.values()), dtype=torch.float64).cumsum(0)
    if sum(shares.values()) > 1 - 1e-6:
        ends[-1] = 1.0
    return ends.float(), torch.tensor([*visible, [1.0, 1.0, 1.0]])


class CenterView:
    """Gives `frames`, `[batch, frames, 3, size, size]`: all frames, their central square resized; nothing is random.

    Args:
        size: Side of a frame in pixels.
    """

    def __init__(self, *, size: int = 128) -> None:
        self.size = size

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames."""
        box = torch.tensor(central_box(height=clips.shape[-2], width=clips.shape[-1]))
        return {"frames": cut(clips, box.expand(len(clips), 4), size=self.size)}
