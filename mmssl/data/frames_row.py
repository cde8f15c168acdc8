"""Rows of videos that lie there as folders of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl.data.manifest_row import ManifestRow
from mmssl.media.image import image_size
from mmssl.media.image_sequence import FPS


def frames_row(name: str, frames: Sequence[Path], *, root: Path, **known: Any) -> ManifestRow:
    """The row of a folder of images, which carry no times.

    Args:
        name: Its id, and its group where no other is given.
        frames: The images, at least one, in order.
        root: Folder that the path is relative to.
        known: Further columns, such as `split` and `extra`.

    Raises:
        MediaError: If the first image cannot be read.
    """
    height, width = image_size(frames[0])
    return ManifestRow(
        id=name,
        uri=frames[0].parent.relative_to(root).as_posix(),
        media_type="video",
        duration_seconds=len(frames) / FPS,
        fps=FPS,
        num_frames=len(frames),
        width=width,
        height=height,
        **{"group": name, **known},
    )
