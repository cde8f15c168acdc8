"""CPC on images: the same as loops over patches, rows and negatives, and refused where it cannot be."""

from itertools import product

import pytest
import torch

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.cpc_image import CPCImage
from mmssl.objectives.objective import Batch
from mmssl.views.patches import PatchesView
from tests.objectives.family import ENCODER, PATCH_GRID, clips

SIDE, STEPS, NEGATIVES = 7, 3, 5


def make(negatives: str = "batch", **settings: object) -> CPCImage:
    torch.manual_seed(0)
    encoder = build(PATCH_GRID, ENCODER_CHOICE)
    spec = {
        "name": "cpc_image",
        "num_steps": STEPS,
        "num_negatives": NEGATIVES,
        "negatives": negatives,
        "context_dim": 8,
    }
    objective = build({**spec, **settings}, OBJECTIVE_CHOICE, encoder=encoder)
    assert isinstance(objective, CPCImage)
    return objective


def make_batch(**settings: int) -> Batch:
    view = PatchesView(**{"size": 32, "num_frames": 1, **settings})
    return view(clips(3), ItemRandom(0, 0, range(3)))


def by_loops(objective: CPCImage, batch: Batch) -> tuple[float, list[float]]:
    """The mean surprise and, by rows below, the share of right answers, one prediction at a time."""
    patches = batch["patches"][:, 0]
    count = len(patches)
    codes = torch.stack([objective.encoder.patch(of_image) for of_image in patches]).reshape(count, SIDE, SIDE, -1)
    maps = [objective.context(of_image.permute(2, 0, 1)[None])[0] for of_image in codes]
    draws = ItemRandom(0, 0, batch["draw"].tolist()).uniform("negatives", (SIDE, SIDE, NEGATIVES))
    places = list(product(range(count), range(SIDE), range(SIDE)))
    surprises: list[list[float]] = [[] for _ in range(STEPS)]
    right: list[list[bool]] = [[] for _ in range(STEPS)]
    for image, column, row in places:
        others = [
            place
            for place in places
            if place != (image, column, row) and (objective.looks_across_batch or place[0] == image)
        ]
        drawn = [others[int(float(u) * len(others))] for u in draws[image, column, row]]
        for step in range(1, min(STEPS, row) + 1):
            weight = objective.predictors.weight.reshape(STEPS, -1, 8)[step - 1]
            predicted = weight @ maps[image][:, row - step, column]
            own = float(predicted @ codes[image, row, column])
            wrong = [float(predicted @ codes[i, r, c]) for i, c, r in drawn]
            surprises[step - 1].append(float(torch.tensor([own, *wrong]).logsumexp(0)) - own)
            right[step - 1].append(own > max(wrong))
    means = [sum(values) / len(values) for values in surprises]
    return sum(means) / STEPS, [sum(values) / len(values) for values in right]


@pytest.mark.parametrize("negatives", ["image", "batch"])
def test_loss_and_accuracies_are_those_of_loops(negatives: str) -> None:
    objective, batch = make(negatives), make_batch()
    with torch.no_grad():
        found = objective(batch)
        loss, accuracies = by_loops(objective, batch)
    assert float(found["loss"]) == pytest.approx(loss, abs=1e-4)
    assert [float(found[f"accuracy_{step}"]) for step in range(1, STEPS + 1)] == pytest.approx(accuracies)
    assert objective.guesses == {"accuracy_1": 1 / (1 + NEGATIVES)}


def test_an_image_without_anything_in_it_is_a_guess() -> None:
    objective, batch = make("image"), make_batch()
    batch = batch | {"patches": torch.full_like(batch["patches"], 0.5)}
    assert objective(batch)["loss"].item() == pytest.approx(torch.tensor(1.0 + NEGATIVES).log().item(), abs=1e-4)


def test_what_it_cannot_train() -> None:
    with pytest.raises(ConfigError, match="cpc_image trains a patch_grid, not SmallResNet"):
        CPCImage(build(ENCODER, ENCODER_CHOICE))
    with pytest.raises(ConfigError, match="a grid of 7 rows is too small to predict 7 rows below"):
        make(num_steps=7)(make_batch())
    with pytest.raises(ConfigError, match=r"1 frame\(s\) in patches of 16 pixels, the encoder takes patches of 8"):
        make()(make_batch(patch_size=16))
    with pytest.raises(ConfigError, match=r"2 frame\(s\)"):
        make()(make_batch(num_frames=2))
