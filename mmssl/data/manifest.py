"""The manifest: one row a media file, or a segment of one, with what is known of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A media file, or a segment of one.

    Args:
        id: Unique in its manifest.
        uri: Path relative to the manifest's folder (or absolute): a file, or for a video also a folder of numbered images.
        media_type: `video`, `audio` or `image`.
        start: Begin of the segment in seconds on the file's time axis; None for the file's begin.
        end: End of the segment in seconds; None for the file's end.
        caption: A sentence about it.
        label: Its class.
        split: Such as `train` or `test`.
        group: Rows of one source share it, so that no source stands in two splits.
        duration_seconds: Probed, like all that follow up to `streams`.
        fps: Mean presented frames a second.
        num_frames: Presented frames.
        width: Pixels as presented, rotation applied.
        height: Pixels as presented, rotation applied.
        sample_rate: Of the first audio stream, in hertz.
        num_channels: Of the first audio stream.
        streams: Such as `("video:h264", "audio:aac")`.
        status: `ok` or `rejected`.
        error_type: Why it was rejected: name of the error's class.
        error_message: Why it was rejected, as a sentence.
        extra: Every column that is none of these.
    """

    id: str
    uri: str
    media_type: str
    start: float | None = None
    end: float | None = None
    caption: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    num_frames: int | None = None
    width: int | None = None
    height: int | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    streams: tuple[str, ...] = ()
    status: str = "ok"
    error_type: str | None = None
    error_message: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Rows and the file they came from, whose folder their `uri`s are relative to."""

    path: Path
    rows: tuple[ManifestRow, ...]

    @property
    def name(self) -> str:
        """How results name the data set: the file's stem, or its folder's name for `manifest.jsonl`."""
        return self.path.resolve().parent.name if self.path.stem == "manifest" else self.path.stem

    def resolve(self, row: ManifestRow) -> Path:
        """The row's file."""
        return self.path.parent / row.uri
