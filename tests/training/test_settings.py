"""Settings say everything that is wrong with them, and translate to steps."""

import pytest

from mmssl.errors import TrainingError
from mmssl.training.settings import Plan, TrainSettings


def test_reports_every_fault_at_once() -> None:
    with pytest.raises(TrainingError) as error:
        TrainSettings(
            batch_size=0, optimizer={"name": "adam", "lr": 1}, clip_norm=-1.0, warmup_epochs=1.0, warmup_steps=1
        )
    for part in (
        "batch_size must be at least 1, got 0",
        "'adam' is no optimizer (did you mean 'adamw'?)",
        "either epochs or num_steps",
        "clip_norm must be positive",
        "either warmup_steps or warmup_epochs",
    ):
        assert part in str(error.value)


def test_a_plan_counts_whole_batches() -> None:
    plan = Plan(22, 1, TrainSettings(batch_size=4, epochs=3, warmup_epochs=0.5))
    assert (plan.steps_per_epoch, plan.num_steps, plan.warmup_steps) == (5, 15, 2)
    assert Plan(22, 1, TrainSettings(batch_size=4, num_steps=7, warmup_steps=3)).num_steps == 7


def test_too_few_clips_are_refused() -> None:
    with pytest.raises(TrainingError, match="3 clips are fewer than batch_size=4; lower batch_size"):
        Plan(3, 1, TrainSettings(batch_size=4, epochs=1))


def test_only_settings_that_change_a_result_name_it() -> None:
    base = TrainSettings(batch_size=4, epochs=1)
    same = TrainSettings(batch_size=4, epochs=1, checkpoint_every_steps=3, keep_states=9, prefetch=False)
    other = TrainSettings(batch_size=4, epochs=1, clip_norm=1.0)
    assert base.what_changes_results() == same.what_changes_results() != other.what_changes_results()
