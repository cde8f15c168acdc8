"""The sound of the same stretch of time beside the pictures of a clip."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float32
from torch import Tensor

from mmssl.data.manifest import ManifestRow
from mmssl.data.sound import Sound, level_db, sound_segment, sound_windows
from mmssl.errors import DecodeError
from mmssl.media.clip import Clip

_SAMPLE_TOLERANCE = 1e-6


def with_sound(path: Path, row: ManifestRow, clips: Sequence[Clip], *, sound: Sound) -> list[Clip]:
    """Gives each clip of pictures the window of sound that begins with its first frame.

    The window's first sample is the first one that is not before the frame, so that both agree to less than a sample. Sound
    after the row's segment is not heard. Of a track that begins after the first frame, what is missing before is silence;
    what is missing at its end is filled up as `sound.too_short` says. Clips with less sound than `sound.min_seconds`, or
    quieter than `sound.silence_db`, are left out.

    Args:
        path: The row's file.
        row: Gives the segment.
        clips: Pictures of the row, in any order of time.
        sound: What a window is.

    Raises:
        MediaError: If the file has no sound, or it cannot be decoded.
        DecodeError: If `sound.too_short` is `error` and a window reaches past the sound's end, or no clip is left.
    """
    begin, end = sound_segment(path, row, past_end="shorten")
    starts = {place: float(clip.pts_seconds[0]) for place, clip in enumerate(clips)}
    heard = {
        place: min(start + sound.window_seconds, end) - max(start, begin)
        for place, start in sorted(starts.items(), key=lambda entry: entry[1])
    }
    least = min(heard.values())
    if sound.too_short == "error" and least < sound.window_seconds - 1 / sound.sample_rate - _SAMPLE_TOLERANCE:
        raise DecodeError(
            f"{path}: only {max(least, 0):.3f} s of sound lie beside a clip that wants a window of {sound.window_seconds} s; "
            "set too_short to pad or loop, or ask for shorter windows or earlier clips"
        )
    places = [place for place, seconds in heard.items() if seconds >= max(sound.min_seconds, 1 / sound.sample_rate)]
    windows = sound_windows(path, [starts[place] for place in places], end, sound)
    found = {place: window for place, (window, _) in zip(places, windows, strict=True)}
    kept = [
        replace(clip, sound=found[place][None])
        for place, clip in enumerate(clips)
        if place in found and _is_loud(found[place], sound)
    ]
    if not kept:
        raise DecodeError(
            f"{path}: beside none of its {len(clips)} clips lie {sound.min_seconds} s of sound"
            + ("" if sound.silence_db is None else f" that are louder than silence_db {sound.silence_db}")
            + f"; the sound ends at {end:.3f} s"
        )
    return kept


def _is_loud(window: Float32[Tensor, " samples"], sound: Sound) -> bool:
    return sound.silence_db is None or level_db(window) >= sound.silence_db
