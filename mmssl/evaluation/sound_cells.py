"""Windows of sound, and an encoder's map over the time of each."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.dataset import ClipItem, ClipSource, sample_rate_of
from mmssl.errors import EvaluationError
from mmssl.evaluation.subject import Subject
from mmssl.models.audio_encoder import AudioEncoder
from mmssl.models.encoder import encoder_input
from mmssl.progress import Progress

CLIPS_AT_ONCE = 16


class Window(NamedTuple):
    """A window of a clip.

    Args:
        clip: Position of the clip in its source.
        frame: Number of the window in the clip.
        item: What is known of the clip.
        begin_seconds: Time of its first sample on the file's time axis.
        length_seconds: How much sound it holds, what fills it up too.
    """

    clip: int
    frame: int
    item: ClipItem
    begin_seconds: float
    length_seconds: float


def sound_encoder(subject: Subject) -> tuple[AudioEncoder, ClipSource]:
    """The subject's encoder and clips, checked.

    Raises:
        EvaluationError: If there is no clip, they are pictures or have no times, or the encoder gives no map over time.
        ConfigError: If the encoder is made for another sampling rate.
    """
    encoder, clips = subject.encoder.encoder, subject.clips
    if clips is None:
        raise EvaluationError(f"{subject.encoder.reference}: there are no clips to listen to; give `clips`")
    if sample_rate_of(clips) is None:
        raise EvaluationError(
            "alignments are of sound, but the clips are pictures; set sound, without size, in the decode stage"
        )
    encoder.check_fits(sample_rate_of(clips))
    if not isinstance(encoder, AudioEncoder):
        raise EvaluationError(f"{subject.encoder.reference}: gives no map over time; give an encoder of sound")
    if not clips.items:
        raise EvaluationError("there is no clip to listen to; look at the rejects of the stage that decoded")
    if any(not item.pts_seconds for item in clips.items):
        raise EvaluationError("the clips have no timestamps; decode them to a store, not on the fly")
    return encoder, clips


def windows_of(encoder: AudioEncoder, clips: ClipSource) -> list[Window]:
    """All windows of all clips, in order."""
    num_samples = clips.clips([0]).shape[3]
    seconds = num_samples / encoder.sample_rate
    return [
        Window(place, frame, item, begin, seconds)
        for place, item in enumerate(clips.items)
        for frame, begin in enumerate(item.pts_seconds)
    ]


class Heard(NamedTuple):
    """What an encoder makes of a window: a cell each `stride` samples, and how many of them are not silence that fills up."""

    window: Window
    cells: Float[Tensor, "cells dim"]
    num_heard: int


def heard(subject: Subject, encoder: AudioEncoder, clips: ClipSource, windows: Sequence[Window]) -> Iterator[Heard]:
    """The map over time of each of some windows, in their order."""
    network = encoder.to(subject.device).eval()
    with Progress(f"listen by {subject.encoder.reference}", len(windows), unit="windows") as progress:
        for start in range(0, len(windows), CLIPS_AT_ONCE):
            part = windows[start : start + CLIPS_AT_ONCE]
            stored = clips.clips([window.clip for window in part])
            sound = encoder_input(stored[torch.arange(len(part)), [window.frame for window in part]]).to(subject.device)
            with torch.inference_mode():
                cells = network.features(sound).float().transpose(1, 2).cpu()
                counts = network.num_heard_cells(sound, cells.shape[1]).tolist()
            for window, of_window, count in zip(part, cells, counts, strict=True):
                if not torch.isfinite(of_window).all():
                    raise EvaluationError(
                        f"{subject.encoder.reference}: its map of clip {window.item.id!r} is not finite; look at the clip, and "
                        "at the loss of the encoder's training"
                    )
                yield Heard(window, of_window, count)
            progress.advance(len(part))
