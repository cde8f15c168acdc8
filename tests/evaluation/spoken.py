"""Sentences of tones, each word a pitch of its own, with alignments; and an encoder that tells the time alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.evaluation.subject import Subject
from mmssl.models.audio_encoder import AudioEncoder
from mmssl.models.loading import EncoderCard, LoadedEncoder

RATE = 2000
PITCHES = {"low": 150.0, "middle": 400.0, "high": 800.0}


class Sentences:
    """Windows of a second from 0.5 s of a recording on; three words of different lengths, with silence around them."""

    sample_rate = RATE
    digest = "sentences"

    def __init__(self, count: int = 12, *, splits: Sequence[str] = ("train", "train", "test")) -> None:
        random = np.random.default_rng(0)
        times = np.arange(RATE) / RATE
        self.items: list[ClipItem] = []
        self.rows: list[ManifestRow] = []
        windows = []
        for number in range(count):
            edges = np.sort(random.choice(np.arange(10, 95), 4, replace=False)) / 100
            words = random.permutation(list(PITCHES)).tolist()
            sound = 0.001 * random.normal(size=RATE)
            for word, begin, end in zip(words, edges[:-1], edges[1:], strict=True):
                inside = (times >= begin) & (times < end)
                sound[inside] += np.sin(2 * np.pi * PITCHES[word] * times[inside] + number)
            entries = [[0.5 + b, 0.5 + e, word] for word, b, e in zip(words, edges[:-1], edges[1:], strict=True)]
            split, row_id = splits[number % len(splits)], f"r{number}"
            speaker = ("ann", "ben")[number // len(splits) % 2]
            extra: dict[str, Any] = {"words": entries, "speaker": speaker}
            self.rows.append(
                ManifestRow(row_id, f"{row_id}.wav", "audio", label=words[0], split=split, group=row_id, extra=extra)
            )
            self.items.append(ClipItem(f"{row_id}#0", row_id, words[0], split, row_id, None, (0.5,)))
            windows.append(sound)
        self.sound = torch.from_numpy(np.array(windows, np.float32))[:, None, None]

    def __len__(self) -> int:
        return len(self.items)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self.sound[list(indices)]

    @property
    def manifest(self) -> Manifest:
        return Manifest(Path("sentences.jsonl"), tuple(self.rows))


class Clock(AudioEncoder):
    """A cell's feature is its number."""

    def __init__(self, *, stride: int = RATE // 100) -> None:
        super().__init__(feature_dim=1, stride=stride, sample_rate=RATE, pool="mean")

    def features(self, sound: Tensor) -> Tensor:
        cells = -(-sound.shape[2] // self.stride)
        return torch.arange(cells).float().expand(len(sound), 1, cells)


def listener(encoder: AudioEncoder, sentences: Sentences, **facts: Any) -> Subject:
    card = EncoderCard({"name": "toy"}, "sound", encoder.dim, encoder.stride, encoder.feature_dim, "toy", "0")
    loaded = LoadedEncoder(encoder.eval(), "toy", "toy", card)
    given = {"manifest": sentences.manifest, "clips": sentences, "seed": 1, **facts}
    return Subject(encoder=loaded, dataset="sentences", name="toy", **given)
