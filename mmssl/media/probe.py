"""What a media file holds, found quickly and exactly."""

from dataclasses import dataclass
from pathlib import Path

import soundfile
from PIL import Image, UnidentifiedImageError

from mmssl.errors import MediaError
from mmssl.media.containers import check_readable, describe_streams, is_attached_picture, open_container
from mmssl.media.image import IMAGE_SUFFIXES, image_size
from mmssl.media.video import open_video


@dataclass(frozen=True)
class Probe:
    """Facts about a media file.

    Args:
        media_type: `video`, `audio` or `image`.
        duration_seconds: Of the pictures of a video, of the sound of an audio file; None for an image.
        fps: Mean presented frames a second.
        num_frames: Presented frames.
        num_missing_frames: Of a video that is cut off: frames that its header promises and the file does not hold.
        width: Pixels as presented, rotation applied.
        height: Pixels as presented, rotation applied.
        sample_rate: Of the first sound track, in hertz.
        num_channels: Of the first sound track.
        streams: Such as `("video:h264", "audio:aac")`.
    """

    media_type: str
    duration_seconds: int | float | None = None
    fps: int | float | None = None
    num_frames: int | None = None
    width: int | None = None
    height: int | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    streams: tuple[str, ...] = ()
    num_missing_frames: int | None = None


def probe(path: Path) -> Probe:
    """Finds what a file (or a folder of numbered images) holds; of a video the first frame is decoded.

    Raises:
        MediaError: If it is missing, empty, unreadable, or holds neither pictures nor sound.
    """
    if path.is_dir():
        return _probe_video(path, ("images",), None, None)
    check_readable(path)
    if path.suffix.lower() in IMAGE_SUFFIXES or _is_image(path):
        height, width = image_size(path)
        return Probe("image", width=width, height=height, num_frames=1, streams=("image",))
    sound = _probe_sound(path)
    if sound is not None:
        return sound
    with open_container(path) as container:
        streams = describe_streams(container)
        rate, channels = None, None
        if container.streams.audio:
            track = container.streams.audio[0]
            rate, channels = track.codec_context.sample_rate, track.codec_context.channels
        has_pictures = any(not is_attached_picture(stream) for stream in container.streams.video)
        if not has_pictures:
            if rate is None:
                raise MediaError(f"{path}: holds neither pictures nor sound (streams: {', '.join(streams) or 'none'})")
            duration = container.duration / 1_000_000 if container.duration else None
            return Probe("audio", duration, sample_rate=rate, num_channels=channels, streams=streams)
    return _probe_video(path, streams, rate, channels)


def _probe_video(path: Path, streams: tuple[str, ...], rate: int | None, channels: int | None) -> Probe:
    with open_video(path) as video:
        height, width = video.size
        return Probe(
            "video",
            video.duration_seconds,
            video.fps,
            video.num_frames,
            width,
            height,
            rate,
            channels,
            streams,
            video.num_missing_frames or None,
        )


def _probe_sound(path: Path) -> Probe | None:
    try:
        facts = soundfile.info(path)
    except soundfile.SoundFileError:
        return None
    codec = f"audio:{facts.subtype.lower()}"
    return Probe(
        "audio",
        facts.frames / facts.samplerate,
        sample_rate=facts.samplerate,
        num_channels=facts.channels,
        streams=(codec,),
    )


def _is_image(path: Path) -> bool:
    """Whether the file is a still image under an unusual name."""
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) == 1
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return False
