import pytest
import torch
from torch import Tensor

from mmssl.errors import TrainingError
from mmssl.models.encoder import Encoder
from mmssl.training.watch import CollapseWatch
from mmssl.views.simclr import SimCLRView
from tests.training.tiny import TinyClips, noisy_view


class Flat(Encoder):
    """The pixels, or always the same."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.scale * images.flatten(1), torch.ones(len(images), 1)], dim=1)


def watch(view: object = noisy_view) -> CollapseWatch:
    return CollapseWatch(TinyClips(40), view, seed=0, device=torch.device("cpu"))  # type: ignore[arg-type]


def test_pairs_are_measured_where_the_view_makes_them() -> None:
    assert set(watch().look(Flat(1.0))) == {"spread", "effective_rank", "uniformity"}
    found = watch(SimCLRView(size=8)).look(Flat(1.0))
    assert 0 < found["alignment"] < 4
    assert found["uniformity"] < 0


def test_embeddings_that_are_not_finite_stop_the_training() -> None:
    with pytest.raises(TrainingError, match="no longer finite; lower lr or set clip_norm"):
        watch().look(Flat(float("nan")))


def test_collapse_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    watching = watch()
    watching.look(Flat(1.0))
    assert capsys.readouterr().err == ""
    for _ in range(2):
        watching.look(Flat(0.0))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the embeddings of different clips are almost alike")


def test_looks_are_repeatable() -> None:
    first, second = (watch(SimCLRView(size=8)).look(Flat(1.0)) for _ in range(2))
    assert first == second
