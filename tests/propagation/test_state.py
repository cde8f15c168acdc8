"""What an interrupted propagation leaves."""

from pathlib import Path

import pytest
import torch

from mmssl.propagation import state as module
from mmssl.propagation.state import State


def killed(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["shutil.rmtree", "write_json"])
def test_killed_at_its_end_it_is_not_complete_and_ends_with_nothing_left(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path, "digest")
    state.save("work", 3, [torch.rand(2, 4, 4)])
    assert state.load("work")[0] == 3
    with monkeypatch.context() as patch:
        patch.setattr(f"{module.__name__}.{moment}", killed)
        with pytest.raises(KeyboardInterrupt):
            state.complete({})
    assert not state.is_complete()
    state.complete({})
    assert state.is_complete()
    assert not state.folder.exists()
    assert not State(tmp_path, "another").is_complete()
