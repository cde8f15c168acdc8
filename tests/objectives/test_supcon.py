from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.data.dataset import ClipItem
from mmssl.errors import TrainingError
from mmssl.functional.contrastive import supervised_contrastive
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.supcon import SupCon
from mmssl.training.batches import Batches
from mmssl.training.distributed import Ranks
from mmssl.training.settings import Plan, TrainSettings
from tests.training.tiny import TinyClips, noisy_view, run


class LabeledClips(TinyClips):
    """Clips of three classes, or of two and some of none."""

    def __init__(self, classes: Sequence[str | None]) -> None:
        super().__init__(12)
        self.classes = classes

    @property
    def items(self) -> Sequence[ClipItem]:
        return [replace(item, label=self.classes[i % len(self.classes)]) for i, item in enumerate(super().items)]


def batches(classes: Sequence[str | None]) -> Batches:
    plan = Plan(12, 1, TrainSettings(batch_size=4, epochs=1))
    ranks = Ranks(0, 1, torch.device("cpu"))
    return Batches(LabeledClips(classes), noisy_view, seed=0, plan=plan, ranks=ranks, labels=True)


def test_is_encoder_head_and_loss() -> None:
    objective = SupCon(SmallResNet(width=4, feature_dim=6), temperature=0.3).eval()
    views, labels = [torch.rand(4, 3, 16, 16) for _ in range(2)], torch.tensor([0, 1, 0, 2])
    embeddings = torch.cat([objective.head(objective.encoder(view)) for view in views])
    loss = objective({"view_1": views[0], "view_2": views[1], "labels": labels})["loss"]
    assert_close(loss, supervised_contrastive(embeddings, labels.repeat(2), temperature=0.3))


def test_batches_carry_the_numbers_of_labels_where_an_objective_asks_for_them() -> None:
    for step in batches(["dog", "cat", "owl"]).steps(0, 3):
        wanted = [{"dog": 1, "cat": 0, "owl": 2}[("dog", "cat", "owl")[index % 3]] for index in step.indices]
        assert step.parts[0]["labels"].tolist() == wanted


def test_clips_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="6 of 12 clips have none"):
        batches(["dog", None])
    objective = SupCon(SmallResNet(width=2, feature_dim=4, num_blocks=(1, 1)))
    with pytest.raises(TrainingError, match="needs labels"):
        run(tmp_path, objective=objective)
