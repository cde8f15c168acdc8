"""Protocols that train on clips: fine-tuning, the linear probe by SGD, and supervised learning beside few labels."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmssl.config import build
from mmssl.errors import ConfigError, EvaluationError
from mmssl.evaluation import EVALUATION_CHOICE
from mmssl.evaluation.classifier_training import Classifier, ClassifierTraining, predict, train_classifier
from mmssl.evaluation.few_labels import few_labels
from mmssl.evaluation.fine_tune import fine_tune
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.linear_probe_sgd import linear_probe_sgd
from mmssl.evaluation.subject import Subject
from mmssl.models.loading import load_encoder
from tests.evaluation.toys import ColorClips, noisy_table, scores, small_encoder, subject_of

QUICK = ClassifierTraining(epochs=4, batch_size=8, learning_rate=3e-3)


def subject(clips: ColorClips | None = None, **facts: Any) -> Subject:
    return Subject(small_encoder(), "colors", clips=clips or ColorClips(), name="toy", **facts)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_fine_tuning_learns_and_leaves_the_encoder_alone() -> None:
    one = subject(ColorClips(num_frames=2))
    before = weights(one.encoder.encoder)
    rows = fine_tune(one, training=QUICK)
    assert scores(rows)["top1"] > 0.8
    assert same(weights(one.encoder.encoder), before)
    assert not one.encoder.encoder.training
    assert scores(rows, "chance")["top1"] == pytest.approx(1 / 3)
    assert "all 40 labelled clips of 'train', scored once on 20 of 'test'" in rows[0].protocol
    assert "the last step is scored" in rows[0].protocol


def test_same_seed_same_scores_and_global_randomness_is_left_alone() -> None:
    one, other = subject(), subject()
    state = torch.random.get_rng_state()
    rows, again = (fine_tune(each, training=QUICK, share=0.2) for each in (one, other))
    assert [row.value for row in rows] == [row.value for row in again]
    assert rows[0].detail["num_train"] == 9
    assert "9 labelled clips of 'train' (20 %: 3 of each class)" in rows[0].protocol
    assert torch.equal(torch.random.get_rng_state(), state)


def test_frozen_encoder_stays_and_only_the_classifier_learns() -> None:
    network = Classifier(small_encoder().encoder, 3, frozen=True)
    before, head = weights(network.encoder), network.linear.weight.clone()
    clips = ColorClips()
    places = np.arange(30)
    train_classifier(network, clips, places, torch.tensor(clips.classes)[:30], training=QUICK, seed=0)
    assert same(weights(network.encoder), before)
    assert not torch.equal(network.linear.weight, head)


def test_probe_by_sgd_comes_near_the_one_by_lbfgs() -> None:
    one = subject(ColorClips(150))
    by_sgd, by_lbfgs = scores(linear_probe_sgd(one)), scores(linear_probe(one))
    assert by_sgd["top1"] == pytest.approx(by_lbfgs["top1"], abs=0.1)
    assert by_sgd["top1"] > 0.8


def test_soft_targets_that_are_certain_are_classes() -> None:
    clips, places = ColorClips(), np.arange(24)
    classes = torch.tensor(clips.classes)[:24]
    found = []
    for targets in (classes, torch.eye(3)[classes]):
        network = Classifier(small_encoder().encoder, 3)
        train_classifier(network, clips, places, targets, training=QUICK, seed=0)
        found.append(predict(network, clips, range(24, 40)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_scores_are_the_mean_over_frames() -> None:
    clips = ColorClips(12, num_frames=3)
    network = Classifier(small_encoder().encoder, 3).eval()
    nn.init.normal_(network.linear.weight)
    frames = clips.clips([5])[0].float() / 255
    np.testing.assert_allclose(
        predict(network, clips, [4, 5], batch_size=2)[1], network(frames).mean(0).detach(), atol=1e-5
    )


def test_supervised_learning_stands_beside_few_labels() -> None:
    rows = few_labels(subject(), shares=(0.2,), supervised=QUICK)
    assert {row.encoder: row.baseline for row in rows} == {
        "toy": False,
        "chance": True,
        "majority": True,
        "supervised:toy": True,
    }
    (row,) = [row for row in rows if row.encoder == "supervised:toy" and row.metric == "top1@20%"]
    assert "from fresh weights, trained end to end on the same 9 labels" in row.protocol
    assert "supervised:toy" in {row.encoder for row in linear_probe(subject(), supervised=QUICK)}


def test_what_cannot_learn_has_no_supervised_counterpart() -> None:
    for one in (
        Subject(load_encoder("pixels"), "colors", clips=ColorClips(), name="toy"),
        subject(baseline=True),
    ):
        assert not any("supervised" in row.encoder for row in few_labels(one, supervised=QUICK))


def test_few_labels_hold_fewer_and_score_less_on_average() -> None:
    rows = few_labels(subject_of(noisy_table(900, scale=0.5)), shares=(0.01, 0.1))
    found = scores(rows)
    assert set(found) == {f"{metric}@{share}" for metric in ("top1", "top5", "class recall") for share in ("1%", "10%")}
    assert found["top1@1%"] < found["top1@10%"]
    details = {row.metric: row.detail["num_train"] for row in rows if row.encoder == "toy"}
    assert (details["top1@1%"], details["top1@10%"]) == (6, 60)
    assert "6 labelled clips of 'train' (1 %: 1 of each class)" in rows[0].protocol


def test_all_labels_are_the_linear_probe() -> None:
    table = noisy_table(300)
    assert (
        scores(few_labels(subject_of(table), shares=(1.0,)))["top1@100%"]
        == scores(linear_probe(subject_of(table)))["top1"]
    )


def test_settings_of_the_training_are_read_from_a_recipe() -> None:
    training = {"epochs": 1, "batch_size": 8}
    rows = build({"name": "fine_tune", "training": training}, EVALUATION_CHOICE, subject=subject())
    assert "1 pass in batches of 8" in rows[0].protocol
    with pytest.raises(ConfigError, match="epochs must be at least 1"):
        build({"name": "fine_tune", "training": {"epochs": 0}}, EVALUATION_CHOICE, subject=subject())


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(EvaluationError, match="there are no clips to train on"):
        fine_tune(subject_of(noisy_table()))
    with pytest.raises(EvaluationError, match="lower the learning rate"):
        fine_tune(subject(), training=ClassifierTraining(epochs=5, batch_size=8, optimizer="sgd", learning_rate=1e30))
    with pytest.raises(ValueError, match="share of labels"):
        fine_tune(subject(), share=0.0)
