import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives.audio_visual_correspondence import AudioVisualCorrespondence
from tests.objectives.family import AUDIO_VISUAL, ENCODER, make_batch, make_objective
from tests.training.test_loss_curves import MovingBlocks
from tests.training.tiny import TinyClips

NAME = "audio_visual_correspondence"


def objective(**settings: float) -> AudioVisualCorrespondence:
    torch.manual_seed(0)
    return AudioVisualCorrespondence(build(AUDIO_VISUAL, ENCODER_CHOICE), **settings)  # type: ignore[arg-type]


def by_loops(seen: Tensor, heard: Tensor, scale: float, clip_of: list[int], *, hard: bool) -> tuple[float, float]:
    """Loss and accuracy, pair by pair: moments of one clip are negatives of each other only where `hard`."""
    total, right = 0.0, 0
    for queries, keys in ((seen, heard), (heard, seen)):
        for row in range(len(queries)):
            columns = [
                column for column in range(len(keys)) if hard or column == row or clip_of[column] != clip_of[row]
            ]
            scores = {column: scale * float(queries[row] @ keys[column]) for column in columns}
            total += math.log(sum(math.exp(score) for score in scores.values())) - scores[row]
            if queries is seen:
                every = {column: float(queries[row] @ keys[column]) for column in range(len(keys))}
                best = max(every, key=lambda column: every[column])
                right += best == row or (not hard and clip_of[best] == clip_of[row])
    return total / (2 * len(seen)), right / len(seen)


@pytest.mark.parametrize("hard_after", [0.0, 0.5])
def test_loss_is_that_of_loops(hard_after: float) -> None:
    method = objective(hard_after=hard_after)
    batch = make_batch(make_objective(NAME), num_clips=5)
    output = method(batch)
    towers = method.towers
    seen = normalize(towers.embed_frames(batch["frames"].flatten(0, 1)), dim=1)
    heard = normalize(towers.embed_sound(batch["sound"].flatten(0, 1)), dim=1)
    clip_of = [place // 2 for place in range(10)]
    loss, accuracy = by_loops(seen, heard, float(towers.log_scale.exp()), clip_of, hard=hard_after == 0)
    assert float(output["loss"]) == pytest.approx(loss, rel=1e-4)
    assert float(output["accuracy"]) == pytest.approx(accuracy)
    within = [float(seen[row] @ heard[row]) > float(seen[row] @ heard[row ^ 1]) for row in range(10)]
    assert float(output["accuracy_within_clip"]) == pytest.approx(sum(within) / 10)


def test_hard_negatives_come_in_after_their_share_of_the_training() -> None:
    method, batch = objective(hard_after=0.5), make_batch(make_objective(NAME))
    easy = method(batch)["loss"]
    method.after_step({}, progress=0.4)
    assert_close(method(batch)["loss"], easy, rtol=0, atol=0)
    method.after_step({}, progress=0.5)
    assert method(batch)["loss"] > easy, "more negatives are harder"


def test_equal_embeddings_give_the_logarithm_of_the_moments() -> None:
    method, batch = objective(), make_batch(make_objective(NAME))
    for head in (method.towers.image_head, method.towers.sound_head):
        torch.nn.init.zeros_(head.out.weight)
    assert float(method(batch)["loss"]) == pytest.approx(math.log(8))


def test_the_sound_of_another_clip_is_told_after_some_steps() -> None:
    method, batch = objective(), make_batch(make_objective(NAME), num_clips=6)
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        method(batch)["loss"].backward()
        optimizer.step()
        method.after_step({}, progress=0.5)
    output = method(batch)
    assert output["accuracy"] > 0.9
    assert output["accuracy_within_clip"] > 0.9
    assert output["temperature"] >= 0.0099


def test_clips_without_sound_or_of_another_rate_are_refused() -> None:
    method = objective()
    method.check_fits(MovingBlocks(method))
    with pytest.raises(ConfigError, match="wants sound of 8000 Hz beside the pictures, and the clips have none"):
        method.check_fits(TinyClips())
    source = MovingBlocks(method)
    source.sound_rate = 16000
    with pytest.raises(ConfigError, match="the clips have sound of 16000 Hz"):
        method.check_fits(source)


def test_an_encoder_that_hears_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="SmallResNet hears nothing; this objective trains audio_visual"):
        AudioVisualCorrespondence(build(ENCODER, ENCODER_CHOICE))
    with pytest.raises(ConfigError, match="hard_after is 2"):
        objective(hard_after=2.0)
