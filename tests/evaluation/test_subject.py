"""Where a subject's embeddings come from, and how several encoders are scored beside baselines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import mmssl
from mmssl.config import build
from mmssl.data.dataset import ClipItem
from mmssl.errors import ConfigError, EvaluationError
from mmssl.evaluation import BASELINES, EVALUATIONS
from mmssl.evaluation.evaluate import ROWS, evaluate, folder_name, read_rows
from mmssl.evaluation.subject import Subject
from mmssl.models import ENCODER_CHOICE
from mmssl.models.loading import load_encoder, save_encoder
from mmssl.retrieval.embeddings import embed_clips
from mmssl.retrieval.over_time import IN_WORDS


@dataclass
class Clips:
    """Bright and dark clips of two frames, in memory; counts how often it is asked."""

    count: int = 12
    digest: str = "clips"
    asked: int = 0

    @property
    def items(self) -> Sequence[ClipItem]:
        return [
            ClipItem(
                f"row{number}#0", f"row{number}", ("dark", "bright")[number % 2], None, f"row{number}", None, (0.0, 1.0)
            )
            for number in range(self.count)
        ]

    def __len__(self) -> int:
        return self.count

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        self.asked += len(indices)
        levels = torch.tensor([40 + 150 * (index % 2) + index for index in indices], dtype=torch.uint8)
        return levels[:, None, None, None, None].expand(-1, 2, 3, 32, 32).contiguous()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "tracker"
    torch.manual_seed(5)
    save_encoder(folder, build("small_resnet", ENCODER_CHOICE), spec="small_resnet", facts={})
    return folder


def test_protocols_say_what_an_encoder_makes_of_frames(tmp_path: Path) -> None:
    spec = {
        "name": "image_text",
        "image": "small_resnet",
        "text": "transformer",
        "pool": {"name": "transformer", "width": 8},
    }
    save_encoder(tmp_path, build(spec, ENCODER_CHOICE), spec=spec, facts={})
    plain, ordered = (Subject(load_encoder(name), "made") for name in ("pixels", str(tmp_path)))
    assert plain.clip_in_words() == "a clip's embedding is the mean of its frames'"
    assert ordered.clip_in_words() == "a clip's embedding is what a transformer over time makes of its frames'"
    assert plain.clip_in_words("std") == ordered.clip_in_words("std") == f"a clip's embedding is {IN_WORDS['std']}"


def test_embeddings_are_computed_once() -> None:
    source = Clips()
    subject = Subject(load_encoder("pixels"), "toys", clips=source)
    assert subject.embeddings() is subject.embeddings()
    assert source.asked == len(source)


def test_table_that_is_there_is_used() -> None:
    encoder, source = load_encoder("pixels"), Clips()
    table = embed_clips(encoder, source)
    source.asked = 0
    other = replace(table, encoder_digest="other")
    assert Subject(encoder, "toys", clips=source, tables=(other, table)).embeddings() is table
    assert Subject(encoder, "toys", tables=(table,)).embeddings() is table
    assert source.asked == 0


def test_table_of_other_clips_is_not_used() -> None:
    encoder, source = load_encoder("pixels"), Clips()
    table = replace(embed_clips(encoder, source), source_digest="other clips")
    found = Subject(encoder, "toys", clips=source, tables=(table,)).embeddings()
    assert found.source_digest == "clips"
    np.testing.assert_array_equal(found.embeddings, table.embeddings)


def test_neither_clips_nor_table_is_refused() -> None:
    with pytest.raises(EvaluationError, match="pixels: there are no clips"):
        Subject(load_encoder("pixels"), "toys").embeddings()


def test_row_carries_the_subject() -> None:
    subject = Subject(load_encoder("pixels"), "toys", name="colors", run="demo", recipe_digest="abc", seed=3)
    row = subject.row("knn", "top1", 0.5, split="all", num_items=4, protocol="A sentence.", detail={"k": 1})
    assert (row.run, row.encoder, row.recipe_digest, row.seed) == ("demo", "colors", "abc", 3)
    assert (row.code_version, row.baseline, row.detail) == (mmssl.__version__, False, {"k": 1})
    chance = subject.row("knn", "top1", 0.5, split="all", num_items=4, protocol="A guess.", encoder="chance")
    assert (chance.encoder, chance.baseline) == ("chance", True)


def test_baselines_stand_beside_scores_once(checkpoint: Path, tmp_path: Path) -> None:
    rows = evaluate(
        [str(checkpoint)],
        {"name": "knn", "ks": [1]},
        dataset="toys",
        clips=Clips(),
        out=tmp_path / "out",
        label=lambda reference: reference.replace(str(checkpoint), "tracker"),
    )
    assert [(row.encoder, row.baseline) for row in rows] == [
        ("tracker", False),
        ("chance", True),
        ("majority", True),
        ("pixels", True),
        ("random:tracker", True),
    ]
    assert {row.encoder: row.value for row in rows}["chance"] == 0.5
    lines = (tmp_path / "out" / ROWS).read_text().splitlines()
    assert [json.loads(line)["encoder"] for line in lines] == [row.encoder for row in rows]
    assert read_rows(tmp_path / "out" / ROWS) == rows


def test_scored_encoder_is_not_its_own_baseline() -> None:
    rows = evaluate(["pixels"], "knn", dataset="toys", clips=Clips())
    assert {row.encoder: row.baseline for row in rows} == {"pixels": False, "chance": True, "majority": True}


def test_baselines_can_be_left_out(checkpoint: Path) -> None:
    rows = evaluate([str(checkpoint)], "knn", dataset="toys", clips=Clips(), baselines=False)
    assert {row.encoder for row in rows} == {str(checkpoint), "chance", "majority"}


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="temprature"):
        evaluate(["pixels"], {"name": "knn", "temprature": 0.1}, dataset="toys", clips=Clips())
    with pytest.raises(ConfigError, match="no evaluation"):
        evaluate(["pixels"], "knm", dataset="toys", clips=Clips())


def test_every_baseline_is_of_an_evaluation() -> None:
    assert set(BASELINES) <= set(EVALUATIONS)


@pytest.mark.parametrize(
    ("name", "folder"), [("tracker", "tracker"), ("random:a/b", "random_a_b"), ("../..", "encoder"), ("", "encoder")]
)
def test_folder_name_is_a_plain_name(name: str, folder: str) -> None:
    assert folder_name(name) == folder
