"""Results to look at: a film with the labels drawn on it, and a sheet of some of its frames."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mmssl.files import atomic_file
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_png
from mmssl.media.video import VideoFile
from mmssl.propagation.files import mask_file, read_mask_file
from mmssl.propagation.overlay import Overlay, contact_sheet
from mmssl.propagation.rows import FrameRow
from mmssl.propagation.video_labels import LabelObject

SHEET_FRAMES = 12
SHEET_WIDTH = 320
"""Largest width of a frame on the contact sheet."""


def write_pictures(
    out: Path, source: VideoFile, rows: Iterable[tuple[int, FrameRow]], objects: tuple[LabelObject, ...]
) -> None:
    """Writes `overlay.mp4` (constant mean frame rate) and `contact_sheet.png`, from masks and rows that are done."""
    overlay = Overlay(objects, source.size)
    has_masks = any(each.kind == "mask" for each in objects)
    count = min(SHEET_FRAMES, source.num_frames)
    chosen = set(torch.linspace(0, source.num_frames - 1, count).round().long().tolist())
    shown: list[Tensor] = []
    captions: list[str] = []
    times = source.pts_seconds.tolist()
    with ExitStack() as stack:
        film = stack.enter_context(VideoWriter(out / "overlay.mp4", fps=source.fps or 1.0, size=source.size))
        for (index, frame), (_, row) in zip(source.iterate(), rows, strict=True):
            picture = overlay.draw(
                frame,
                read_mask_file(mask_file(out, index)) if has_masks else None,
                boxes={key: each.box for key, each in row.items() if each.box is not None},
                points={key: each.points for key, each in row.items() if each.points},
                lost=frozenset(key for key, each in row.items() if each.status == "lost"),
            )
            film.write(picture)
            if index in chosen:
                shown.append(_shrunk(picture))
                captions.append(f"frame {index}, {times[index]:.2f} s")
    with atomic_file(out / "contact_sheet.png") as partial:
        write_png(partial, contact_sheet(shown, captions))


def _shrunk(picture: Tensor) -> Tensor:
    height, width = picture.shape[1:]
    if width <= SHEET_WIDTH:
        return picture
    size = (max(1, height * SHEET_WIDTH // width), SHEET_WIDTH)
    return F.interpolate(picture[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
