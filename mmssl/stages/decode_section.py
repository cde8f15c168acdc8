"""What the decode stage says in the report: how much there is, what was left out, and what clips look like."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.data.clip_store import ClipStore
from mmssl.data.manifest import ManifestRow
from mmssl.media.image import write_png
from mmssl.report.section import Images, Picture, Reject, Rejects, Section, Table, write_section

STRIPS = 8
STRIP_FRAMES = 8
STRIP_HEIGHT = 72


def write_decode_section(out: Path, clips: ClipStore, rows: Sequence[ManifestRow], rejects: Sequence[Reject]) -> None:
    """Writes `section.json` and the sample pictures of a decode stage."""
    items = clips.items
    height, width = clips.size
    seconds = sum(row.duration_seconds or 0.0 for row in rows)
    spans = [item.pts_seconds[-1] - item.pts_seconds[0] for item in items]
    facts: list[tuple[str, str | int | float]] = [
        ("rows", len(rows)),
        ("rejected rows", len(rejects)),
        ("hours of media, where probed", round(seconds / 3600, 3)),
        ("clips", len(clips)),
        ("frames a clip", clips.num_frames),
        ("height x width, pixels", f"{height} x {width}"),
        ("mean seconds from a clip's first frame to its last", round(sum(spans) / len(spans), 3)),
        ("labels", len({item.label for item in items if item.label is not None})),
    ]
    splits = sorted({item.split or "none" for item in items})
    by_split = [(split, sum((item.split or "none") == split for item in items)) for split in splits]
    shown = [round(place) for place in torch.linspace(0, len(clips) - 1, min(STRIPS, len(clips))).tolist()]
    pictures = []
    for number, place in enumerate(shown):
        file = f"samples/{number:02}.png"
        (out / "samples").mkdir(exist_ok=True)
        write_png(out / file, strip(clips.clips([place])[0]))
        item = items[place]
        pictures.append(Picture(file, f"{item.id}, from {item.pts_seconds[0]:.2f} s" + _known(item.label, item.split)))
    blocks = (
        Table(("what", "value"), tuple(facts)),
        Table(("split", "clips"), tuple(by_split), title="Splits"),
        Rejects(tuple(rejects), len(rows)),
        Images(tuple(pictures), title="Sample clips", per_row=1),
    )
    write_section(out, Section("Clips", blocks))


def strip(clip: UInt8[Tensor, "frames 3 height width"]) -> UInt8[Tensor, "3 strip_height strip_width"]:
    """Up to eight frames of a clip side by side, 72 pixels high."""
    chosen = torch.linspace(0, len(clip) - 1, min(STRIP_FRAMES, len(clip))).round().long()
    width = max(1, round(STRIP_HEIGHT * clip.shape[3] / clip.shape[2]))
    small = interpolate(clip[chosen], (STRIP_HEIGHT, width), mode="bilinear", antialias=True)
    return torch.cat(list(small), dim=2)


def _known(label: str | None, split: str | None) -> str:
    return "".join(f", {fact}" for fact in (label, split) if fact)
