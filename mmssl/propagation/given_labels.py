"""Labels as they are given to a propagation: read, and held against the video, before any work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl.errors import LabelError
from mmssl.media.video import open_video
from mmssl.media.video_file import VideoFile
from mmssl.propagation.exchange import detect_format, read_labels
from mmssl.propagation.exporting import check_exports
from mmssl.propagation.masks import VOID
from mmssl.propagation.segments import plan
from mmssl.propagation.video_labels import VideoLabels


def check_given(
    video: Path,
    labels: Path,
    *,
    label_format: str | None = None,
    label_frame: int | None = None,
    save_as: Sequence[str] = (),
) -> None:
    """Makes sure that a propagation will be able to use its labels; arguments are those of `propagate_video`.

    Raises:
        MediaError: If the video cannot be read.
        LabelError: If the labels cannot be read, do not fit the video, hold no object, or cannot be saved as asked.
        ConfigError: If there is no such format.
    """
    with open_video(video) as source:
        given, void = read_given(labels, source, label_format, label_frame)
        check_exports(given, save_as)
        plan(given, num_frames=source.num_frames, void=void)


def read_given(
    labels: Path | VideoLabels, source: VideoFile, form: str | None, frame: int | None
) -> tuple[VideoLabels, int | None]:
    """Labels that fit a video, and the mask index that is nobody's, if any.

    Args:
        labels: A file or folder, or labels.
        source: The video.
        form: Format; None to detect it.
        frame: Of a single index mask.

    Raises:
        LabelError: If they cannot be read, or do not fit the video.
    """
    if isinstance(labels, VideoLabels):
        if labels.size != source.size:
            raise LabelError(
                f"the labels are for {labels.size[1]} x {labels.size[0]} pixels, the video has "
                f"{source.size[1]} x {source.size[0]}"
            )
        return VideoLabels(labels.size, source.num_frames, labels.objects, labels.frames), None
    if not labels.exists():
        raise LabelError(f"{labels}: there is no such file or folder")
    form = form or detect_format(labels)
    options: dict[str, Any] = {}
    if frame is not None:
        if form != "indexed_png" or labels.is_dir():
            raise LabelError(
                f"{labels}: says itself which frames it labels; only a single mask needs a frame beside it"
            )
        options["frame"] = frame
    times = source.pts_seconds.tolist()
    read = read_labels(labels, size=source.size, num_frames=source.num_frames, pts_seconds=times, form=form, **options)
    return read, VOID if form == "indexed_png" else None
