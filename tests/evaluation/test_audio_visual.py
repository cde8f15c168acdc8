"""Evaluations of pictures with their sound, on clips whose brightness says what their loudness is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.errors import EvaluationError
from mmssl.evaluation.audio_visual import Moment, embed_moments
from mmssl.evaluation.audio_visual_retrieval import audio_visual_retrieval
from mmssl.evaluation.sound_clusters import sound_clusters
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.time_offset import steps_off, time_offset
from mmssl.models.audio_visual import AudioVisualTowers
from mmssl.models.loading import EncoderCard, LoadedEncoder, load_encoder
from tests.objectives.family import AUDIO_VISUAL

RATE, NUM_FRAMES, FRAME_SAMPLES = 1000, 40, 40
MOMENT = Moment(size=4, num_frames=4, window_seconds=0.16, num_moments=3)


class Sounding:
    """Clips whose sound is as loud as their pictures are bright, frame by frame; those of `swapped` have each other's."""

    sound_rate = RATE
    digest = "sounding"

    def __init__(self, count: int = 6, *, swapped: tuple[int, int] | None = None, split: str | None = "test") -> None:
        levels = torch.rand(count, NUM_FRAMES, generator=torch.Generator().manual_seed(0))
        self._frames = (
            (levels * 255).round().to(torch.uint8)[:, :, None, None, None].expand(-1, -1, 3, 4, 4).contiguous()
        )
        sound = levels.repeat_interleave(FRAME_SAMPLES, 1)[:, None]
        order = list(range(count))
        if swapped is not None:
            order[swapped[0]], order[swapped[1]] = swapped[1], swapped[0]
        self._sound = sound[order]
        times = tuple(place * FRAME_SAMPLES / RATE for place in range(NUM_FRAMES))
        self.items = [ClipItem(f"c{n}#0", f"c{n}", None, split, f"c{n}", None, times) for n in range(count)]

    def __len__(self) -> int:
        return len(self.items)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._frames[list(indices)]

    def sounds(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._sound[list(indices)]


class Levels(AudioVisualTowers):
    """Brightness and loudness of each frame, less their mean."""

    def __init__(self) -> None:
        sound = {"name": "log_mel", "sample_rate": RATE, "num_mels": 4}
        super().__init__(**{key: value for key, value in AUDIO_VISUAL.items() if key != "name"} | {"sound": sound})

    def embed_frames(self, frames: Tensor) -> Tensor:
        levels = frames.mean((2, 3, 4))
        return levels - levels.mean(1, keepdim=True)

    def embed_sound(self, sound: Tensor) -> Tensor:
        levels = sound[:, 0].reshape(len(sound), -1, FRAME_SAMPLES).mean(2)
        return levels - levels.mean(1, keepdim=True)


def subject(clips: Sounding, *, out: Path | None = None) -> Subject:
    card = EncoderCard({"name": "levels"}, "rgb", 1, 1, 1, "levels", "0")
    loaded = LoadedEncoder(Levels().eval(), "levels", "levels", card)
    return Subject(encoder=loaded, dataset="toy", name="toy", clips=clips, out=out)  # type: ignore[arg-type]


def values(rows: Sequence[object]) -> dict[tuple[str, str], float]:
    return {(row.encoder, row.metric): row.value for row in rows}  # type: ignore[attr-defined]


def test_sound_and_pictures_find_each_other() -> None:
    found = values(audio_visual_retrieval(subject(Sounding()), ks=(1, 5), moment=MOMENT))
    for way in ("sound to pictures", "pictures to sound"):
        assert found["toy", f"{way} R@1"] == 1.0
        assert found["toy", f"{way} median rank"] == 1.0
        assert found["chance", f"{way} R@1"] == pytest.approx(1 / 6)
        assert found["chance", f"{way} R@5"] == pytest.approx(5 / 6)


def test_swapped_sound_is_wrong_both_ways() -> None:
    rows = audio_visual_retrieval(subject(Sounding(swapped=(1, 4), split=None)), ks=(1,), moment=MOMENT)
    found = values(rows)
    assert found["toy", "sound to pictures R@1"] == found["toy", "pictures to sound R@1"] == pytest.approx(4 / 6)
    assert {row.split for row in rows} == {"all"}


def test_moments_are_where_loops_find_them() -> None:
    clips = Sounding()
    seen, heard = embed_moments(subject(clips), [2, 0], MOMENT, shifts_seconds=[-0.08, 0.0, 0.08])
    assert seen.shape == (2, 3, 4)
    assert heard.shape == (2, 3, 3, 4)
    for row, place in enumerate([2, 0]):
        for moment, first in enumerate([2, 18, 34]):
            levels = clips.clips([place])[0, first : first + 4, 0, 0, 0].float()
            torch.testing.assert_close(seen[row, moment], torch.nn.functional.normalize(levels - levels.mean(), dim=0))
            for shift, frames in enumerate((-2, 0, 2)):
                begin = (first + frames) * FRAME_SAMPLES
                loud = clips.sounds([place])[0, 0, begin : begin + 160].reshape(4, 40).mean(1)
                wanted = torch.nn.functional.normalize(loud - loud.mean(), dim=0)
                torch.testing.assert_close(heard[row, moment, shift], wanted)


def test_the_right_shift_is_found(tmp_path: Path) -> None:
    rows = time_offset(subject(Sounding(12), out=tmp_path), num_shifts=5, step_seconds=0.04, moment=MOMENT)
    found = values(rows)
    for metric in ("accuracy", "accuracy within one step", "accuracy of single moments"):
        assert found["toy", metric] == 1.0
    assert found["toy", "accuracy with another clip's pictures"] < 0.7
    assert found["chance", "accuracy"] == pytest.approx(0.2)
    assert found["chance", "accuracy within one step"] == pytest.approx(0.6)
    assert (tmp_path / "similarity_by_shift.png").stat().st_size > 1000
    assert rows[0].metric == "accuracy"


def test_equal_similarities_are_wrong() -> None:
    scores = torch.tensor([[0.1, 0.1, 0.1], [0.0, 0.5, 0.2], [0.7, 0.5, 0.2], [0.1, 0.5, 0.6]])
    off = steps_off(scores).tolist()
    assert off[0] != 0
    assert off[1:] == [0, -1, 1]


def test_what_cannot_be_scored_is_refused() -> None:
    clips = Sounding()
    with pytest.raises(EvaluationError, match="pixels: hears nothing"):
        audio_visual_retrieval(Subject(encoder=load_encoder("pixels"), dataset="toy", clips=clips))  # type: ignore[arg-type]
    clips.sound_rate = 8000
    with pytest.raises(EvaluationError, match="wants clips with sound of 1000 Hz beside their pictures"):
        audio_visual_retrieval(subject(clips), moment=MOMENT)
    with pytest.raises(EvaluationError, match="num_shifts is 4"):
        time_offset(subject(Sounding()), num_shifts=4, moment=MOMENT)
    with pytest.raises(
        EvaluationError, match=r"clips of 1\.60 s have room for 0 of 3 moments .* up to 1 s earlier and later"
    ):
        time_offset(subject(Sounding()), num_shifts=3, step_seconds=1.0, moment=MOMENT)


class LowOrHigh(Sounding):
    """Clips that are bright at the left with a low tone, at the right with a high one; each third is held out."""

    def __init__(self, *, told: bool = True) -> None:
        super().__init__(24)
        high = torch.arange(24) % 2
        generator = torch.Generator().manual_seed(1)
        shown = high if told else torch.randint(2, (24,), generator=generator)
        at_right = torch.arange(4) >= 2
        bright = at_right == shown[:, None, None, None, None].bool()
        self._frames = (60 + 120 * bright).to(torch.uint8).expand(-1, NUM_FRAMES, 3, 4, -1).contiguous()
        seconds = torch.arange(NUM_FRAMES * FRAME_SAMPLES) / RATE
        tones = torch.sin(2 * torch.pi * (100 + 250 * high[:, None]) * seconds)
        self._sound = (tones + 0.05 * torch.randn(tones.shape, generator=generator))[:, None]
        splits = ["test" if number // 2 % 3 == 2 else "train" for number in range(24)]
        self.items = [replace(item, split=split) for item, split in zip(self.items, splits, strict=True)]


def test_kinds_of_sound_are_read_off_frames_where_these_tell() -> None:
    settings = {"num_clusters": 2, "num_bands": 8, "l2s": (0.01,), "moment": MOMENT}
    found = {
        told: sound_clusters(
            Subject(encoder=load_encoder("pixels"), dataset="toy", name="toy", clips=LowOrHigh(told=told)),  # type: ignore[arg-type]
            **settings,  # type: ignore[arg-type]
        )
        for told in (True, False)
    }
    told, untold = (values(rows) for rows in found.values())
    assert told["toy", "top1"] == 1.0
    assert untold["toy", "top1"] < 0.8
    assert told["chance", "top1"] == told["majority", "top1"] == 0.5
    assert found[True][0].num_items == 8 * 3
    assert "found in the 48 moments of 'train'" in found[True][0].protocol
    with pytest.raises(EvaluationError, match="there must be clips of both splits, 'train' and 'valid'"):
        sound_clusters(
            Subject(encoder=load_encoder("pixels"), dataset="toy", clips=LowOrHigh()),  # type: ignore[arg-type]
            test_split="valid",
        )
