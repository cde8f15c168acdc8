"""Embeddings of what is seen and what is heard at moments of clips, for evaluations that compare both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.data.dataset import ClipSource, footage_of, sound_rate_of
from mmssl.errors import EvaluationError
from mmssl.evaluation.subject import Subject
from mmssl.media.clip import Footage
from mmssl.models.audio_visual import AudioVisualTowers
from mmssl.views.audio_visual import window_begins
from mmssl.views.crop import central_box, cut

CLIPS_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What of a clip is looked at and listened to at a time, as in the view `audio_visual`.

    Args:
        size: Side of a frame in pixels; the middle square of the clip's is taken.
        num_frames: Frames.
        frame_step: From one frame to the next.
        window_seconds: Sound around the middle of the time that the frames are shown.
        num_moments: Moments of a clip, evenly spread over it, whose similarities are averaged.
    """

    size: int = 128
    num_frames: int = 12
    frame_step: int = 1
    window_seconds: float = 0.48
    num_moments: int = 5

    @property
    def in_words(self) -> str:
        """For protocols."""
        return f"{self.num_moments} moments of {self.num_frames} frames and {self.window_seconds:g} s of sound a clip"


class Embedded(NamedTuple):
    """L2-normalised embeddings of moments: of the frames, and of the sound at each shift."""

    seen: Float[Tensor, "clips moments dim"]
    heard: Float[Tensor, "clips moments shifts dim"]


def embed_moments(
    subject: Subject, places: Sequence[int], moment: Moment, *, shifts_seconds: Sequence[float] = (0.0,)
) -> Embedded:
    """Embeds moments of some clips, at the same times in all, each with its sound at some shifts.

    Args:
        subject: With an encoder `audio_visual` and clips that have sound beside them.
        places: Of the clips in the source.
        moment: What a moment is.
        shifts_seconds: How much later the sound is taken; a moment's place leaves room for all of them.

    Raises:
        EvaluationError: If the encoder does not hear, there is no sound of its rate beside the clips, or they are too short.
    """
    encoder, clips = hearing(subject)
    encoder = encoder.to(subject.device).eval()
    seen, heard = [], []
    for start in range(0, len(places), CLIPS_AT_ONCE):
        footage = footage_of(clips, places[start : start + CLIPS_AT_ONCE])
        firsts, begins = moment_places(footage, moment, shifts_seconds)
        with torch.inference_mode():
            frames = moment_frames(footage, moment, firsts).to(subject.device)
            windows = moment_sounds(footage, moment, begins)
            heard_now = encoder.embed_sound(windows.flatten(0, 2)[:, None].to(subject.device))
            seen.append(_normal(encoder.embed_frames(frames.flatten(0, 1))).reshape(*frames.shape[:2], -1))
            heard.append(_normal(heard_now).reshape(*begins.shape, -1))
    return Embedded(torch.cat(seen), torch.cat(heard))


def hearing(subject: Subject) -> tuple[AudioVisualTowers, ClipSource]:
    """The subject's encoder and clips, checked.

    Raises:
        EvaluationError: If the encoder does not hear, or there is no sound of its rate beside the clips.
    """
    encoder, clips = subject.encoder.encoder, subject.clips
    if not isinstance(encoder, AudioVisualTowers):
        raise EvaluationError(f"{subject.encoder.reference}: hears nothing; give an encoder of the kind audio_visual")
    if clips is None or sound_rate_of(clips) != encoder.sound_rate:
        raise EvaluationError(
            f"{subject.encoder.reference}: wants clips with sound of {encoder.sound_rate} Hz beside their pictures; set both "
            "size and sound in the decode stage"
        )
    return encoder, clips


def scored_places(clips: ClipSource, split: str) -> tuple[list[int], str]:
    """The first clip of each row of a split; of all rows, under the name `all`, where none is of it."""
    first: dict[str, int] = {}
    of_split = [place for place, item in enumerate(clips.items) if item.split == split]
    for place in of_split or range(len(clips)):
        first.setdefault(clips.items[place].row_id, place)
    return list(first.values()), split if of_split else "all"


def moment_places(
    footage: Footage, moment: Moment, shifts_seconds: Sequence[float]
) -> tuple[Int[Tensor, " moments"], Int[Tensor, "clips moments shifts"]]:
    """First frames of moments evenly spread over clips, and first samples of their sound at each shift."""
    firsts, begins = window_begins(
        footage, num_frames=moment.num_frames, frame_step=moment.frame_step, window_seconds=moment.window_seconds
    )
    shifts = torch.tensor([round(shift * footage.sample_rate) for shift in shifts_seconds])
    every = begins[:, :, None] + shifts
    last = footage.sound.shape[2] - round(moment.window_seconds * footage.sample_rate)
    fits = torch.nonzero(((every >= 0) & (every <= last)).all(2).all(0)).flatten()
    if len(fits) < moment.num_moments:
        raise EvaluationError(
            f"clips of {footage.sound.shape[2] / footage.sample_rate:.2f} s have room for {len(fits)} of {moment.in_words} with "
            f"sound up to {max(map(abs, shifts_seconds)):g} s earlier and later; decode longer clips or lower these"
        )
    chosen = fits[torch.linspace(0, len(fits) - 1, moment.num_moments).round().long()]
    return firsts[chosen], every[:, chosen]


def moment_frames(
    footage: Footage, moment: Moment, firsts: Int[Tensor, " moments"]
) -> Float[Tensor, "clips moments frames 3 size size"]:
    """Frames of the moments that begin with some frames, the middle square of the clip's."""
    places = firsts[:, None] + moment.frame_step * torch.arange(moment.num_frames)
    box = torch.tensor(central_box(height=footage.frames.shape[-2], width=footage.frames.shape[-1]))
    boxes = box.expand(len(footage), 4)
    frames = cut(footage.frames, boxes, size=moment.size, chosen=places.flatten().expand(len(footage), -1))
    return frames.reshape(len(footage), *places.shape, *frames.shape[2:])


def moment_sounds(
    footage: Footage, moment: Moment, begins: Int[Tensor, "clips moments shifts"]
) -> Float[Tensor, "clips moments shifts samples"]:
    """Windows of sound that begin with some samples."""
    at = begins[..., None] + torch.arange(round(moment.window_seconds * footage.sample_rate))
    return footage.sound[:, 0].gather(1, at.flatten(1)).reshape(at.shape)


def _normal(embeddings: Float[Tensor, "moments dim"]) -> Float[Tensor, "moments dim"]:
    return normalize(embeddings.float().cpu(), dim=1)
