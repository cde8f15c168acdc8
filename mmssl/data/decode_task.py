"""What a worker process of the decode stage does: one row of a manifest, to clips of one shape."""

from dataclasses import dataclass
from pathlib import Path

from mmssl.data.decoding import decode_row
from mmssl.data.manifest import ManifestRow
from mmssl.data.sound import ClipSize
from mmssl.errors import DecodeError
from mmssl.media.clip import Clip
from mmssl.media.sampling import Sampler


@dataclass(frozen=True)
class DecodeTask:
    """A row to decode.

    Args:
        path: Its file.
        row: What is known of it.
        item: Its place among all rows, which its random numbers belong to.
    """

    path: Path
    row: ManifestRow
    item: int


def decode_task(task: DecodeTask, *, sampler: Sampler, num_frames: int, size: ClipSize, seed: int) -> list[Clip]:
    """Decodes a row's clips.

    Args:
        task: The row.
        sampler: See `mmssl.media.sampling`.
        num_frames: Frames that every clip must have.
        size: Height and width of the clips' pictures, windows of sound, or both.
        seed: Of the run.

    Raises:
        MediaError: If the file cannot be decoded, or gives a clip of another length.
    """
    clips = decode_row(task.path, task.row, sampler=sampler, size=size, seed=seed, epoch=0, item=task.item)
    for clip in clips:
        if len(clip.frames) != num_frames:
            raise DecodeError(
                f"{task.path}: gives a clip of {len(clip.frames)} frames where {num_frames} are wanted; set num_frames to "
                "1 for images, or past_end to repeat_last or loop for short videos"
            )
    return clips
