"""Named protocols of label propagation: each says everything that its authors' evaluation fixes."""

from dataclasses import dataclass, replace
from typing import Literal

from mmssl.functional.affinity import Window


@dataclass(frozen=True)
class Preset:
    """A protocol of label propagation.

    Args:
        name: Its key in `PRESETS`.
        source: Where the settings are from.
        previous_frames: Frames before the new one that are remembered, besides the first frame of the video.
        window: Cells of a previous frame that a cell may copy from.
        first_window: The same on the first frame of the video.
        top_k: Candidates kept, of all context frames together, or of each with the rule `each_frame`; None for all.
        temperature: Divides the similarity.
        pad_with_first: Whether the first frame also stands in for previous frames that do not exist yet.
        short_side: Pixels of the shorter side of the frames that are encoded; the other side keeps the aspect ratio.
        size_multiple: The longer side is rounded down to a multiple of this, so that it fits the encoder's stride.
        upsampling: From cells to pixels: `bilinear` or `nearest`.
        stretch_channels: Whether each channel is stretched to 0..1 over the frame before the largest one wins.
        rule: How a cell copies. `joint`: from the best of all windows together, by cosine similarity. `each_frame`: from each
            context frame on its own, by dot products and without windows, and the mean over frames is taken; see
            `propagate_each_frame`. `dilated`: from all cells of windows that follow the object on frames far away, by dot
            products; see `propagate_dilated`.
        previous_step: Of the previous frames every such one is context, from the last one back.
        kept_frames: Further frames that stay context, as the first one does, counted from it.
        dilate_beyond: With the rule `dilated`, the frames between the new one and one whose window follows; the first look
            at it is by every second cell, every third from twice as far on, at most every fourth.
        is_hard: Whether labels are fed back with one winner a cell among the background and the masks, rather than soft.
        stride: Pixels a cell of the authors' features; None where the encoder decides.
    """

    name: str
    source: str
    previous_frames: int
    window: Window
    first_window: Window
    top_k: int | None
    temperature: float
    pad_with_first: bool
    short_side: int
    size_multiple: int
    upsampling: str
    stretch_channels: bool
    rule: Literal["joint", "each_frame", "dilated"] = "joint"
    previous_step: int = 1
    kept_frames: tuple[int, ...] = ()
    dilate_beyond: int | None = None
    is_hard: bool = False
    stride: int | None = None


DINO = Preset(
    name="dino",
    source="Caron et al. 2021, arXiv:2104.14294, and its evaluation on DAVIS-2017",
    previous_frames=7,
    window=Window(12),
    first_window=Window(12),
    top_k=5,
    temperature=0.1,
    pad_with_first=False,
    short_side=480,
    size_multiple=64,
    upsampling="bilinear",
    stretch_channels=True,
)

CRW = Preset(
    name="crw",
    source="Jabri et al. 2020, arXiv:2006.14613, and its evaluation on DAVIS-2017",
    previous_frames=20,
    window=Window(11.99, circular=True),
    first_window=Window(None),
    top_k=10,
    temperature=0.05,
    pad_with_first=True,
    short_side=480,
    size_multiple=8,
    upsampling="bilinear",
    stretch_channels=False,
)

VFS = Preset(
    name="vfs",
    source="Xu and Wang 2021, arXiv:2103.17263, and its evaluation on DAVIS-2017",
    previous_frames=20,
    window=Window(11.99, circular=True),
    first_window=Window(11.99, circular=True),
    top_k=10,
    temperature=0.07,
    pad_with_first=False,
    short_side=480,
    size_multiple=8,
    upsampling="bilinear",
    stretch_channels=False,
)

UVC = Preset(
    name="uvc",
    source="Li et al. 2019, arXiv:1909.11895, and its evaluation on DAVIS-2017",
    previous_frames=7,
    window=Window(None),
    first_window=Window(None),
    top_k=5,
    temperature=1.0,
    pad_with_first=False,
    short_side=480,
    size_multiple=8,
    upsampling="bilinear",
    stretch_channels=True,
    rule="each_frame",
)

MAST = Preset(
    name="mast",
    source="Lai, Lu and Xie 2020, arXiv:2002.07793, and its evaluation on DAVIS-2017",
    previous_frames=5,
    window=Window(12),
    first_window=Window(12),
    top_k=None,
    temperature=1.0,
    pad_with_first=False,
    short_side=480,
    size_multiple=4,
    upsampling="bilinear",
    stretch_channels=False,
    rule="dilated",
    previous_step=2,
    kept_frames=(5,),
    dilate_beyond=15,
    is_hard=True,
    stride=4,
)

DINOV3 = Preset(
    name="dinov3",
    source="Simeoni et al. 2025, arXiv:2508.10104, and its video segmentation notebook",
    previous_frames=7,
    window=Window(12, circular=True),
    first_window=Window(12, circular=True),
    top_k=5,
    temperature=0.2,
    pad_with_first=False,
    short_side=960,
    size_multiple=16,
    upsampling="nearest",
    stretch_channels=False,
)

DEFAULT = replace(
    DINO,
    name="default",
    source="`dino` with settings chosen on a few sequences of DAVIS-2016; docs/propagation.md",
    previous_frames=15,
    window=Window(8),
    first_window=Window(8),
    top_k=10,
    temperature=0.05,
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (DEFAULT, DINO, CRW, VFS, UVC, MAST, DINOV3)}
