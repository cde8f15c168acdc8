from pathlib import Path

import numpy as np
import pytest
import torch

from mmssl.errors import EvaluationError
from mmssl.evaluation.frame_order import _confusion, frame_order
from mmssl.evaluation.subject import Subject
from mmssl.functional.order import sorting_orders
from mmssl.models.loading import load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable

LAB = load_encoder("lab")
FAST = {"num_steps": 80, "hidden_dim": 32}


def subject_of(embeddings: torch.Tensor, *, out: Path | None = None, groups: int | None = None) -> Subject:
    """A subject whose table holds `[clips, frames, dim]`, filled up with zeros; every fourth clip is held out."""
    count, _, dim = embeddings.shape
    wide = torch.nn.functional.pad(embeddings, (0, LAB.encoder.dim - dim)).reshape(count, -1)
    table = EmbeddingTable(
        ids=tuple(f"c{i}" for i in range(count)),
        embeddings=wide.numpy().astype(np.float32),
        row_ids=tuple(f"c{i}" for i in range(count)),
        labels=(None,) * count,
        splits=tuple("test" if i % 4 == 0 else "train" for i in range(count)),
        groups=tuple(f"g{i % (groups or count)}" for i in range(count)),
        encoder="lab",
        encoder_digest=LAB.digest,
        source_digest="clips",
        over_time="concat",
    )
    return Subject(LAB, "made", tables=(table,), out=out)


def scores(subject: Subject, **settings: int) -> dict[tuple[str, str], float]:
    rows = frame_order(subject, **{**FAST, **settings})
    return {(row.encoder, row.metric): row.value for row in rows if row.value is not None}


def test_a_clock_is_read_and_noise_is_not(tmp_path: Path) -> None:
    begin = torch.rand(80, 1)
    time = begin + torch.linspace(0, 1, 11)
    clock = scores(subject_of(torch.stack((time, time.square()), dim=2), out=tmp_path))
    assert clock["lab", "order accuracy"] > 0.7
    assert clock["lab", "sorting accuracy"] > 0.3
    assert clock["chance", "order accuracy"] == 0.5
    assert clock["chance", "sorting accuracy"] == pytest.approx(1 / 12)
    assert (tmp_path / "sorting.png").stat().st_size > 1000
    noise = scores(subject_of(torch.randn(80, 11, 2, generator=torch.Generator().manual_seed(0))))
    assert abs(noise["lab", "order accuracy"] - 0.5) < 0.07
    assert abs(noise["lab", "sorting accuracy"] - 1 / 12) < 0.04


def test_the_same_seed_gives_the_same_score() -> None:
    subject = subject_of(torch.rand(40, 9, 3))
    state = torch.get_rng_state()
    first = scores(subject, num_steps=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert scores(subject, num_steps=5) == first


def test_confusion_matches_counts() -> None:
    classes = sorting_orders(3)[1]
    answers = torch.randint(0, 3, (5, 6))
    shares = _confusion(answers, classes)
    for true in range(3):
        given = [answers[i, j].item() for i in range(5) for j in range(6) if classes[j] == true]
        assert shares[true].tolist() == pytest.approx([given.count(answer) / len(given) for answer in range(3)])


def test_clips_that_cannot_be_asked_about_are_refused() -> None:
    with pytest.raises(EvaluationError, match="at least 9 frames"):
        frame_order(subject_of(torch.rand(8, 8, 2)))
    with pytest.raises(EvaluationError, match="stand in both"):
        frame_order(subject_of(torch.rand(8, 9, 2), groups=3))
    with pytest.raises(EvaluationError, match="'val' has no clip"):
        frame_order(subject_of(torch.rand(8, 9, 2)), test_split="val")
