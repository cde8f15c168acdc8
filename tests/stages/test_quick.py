from pathlib import Path

import pytest
import torch

from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.media.image import write_png
from mmssl.stages.quick import evaluate_manifest


@pytest.mark.parametrize("baselines", [True, False])
def test_evaluation_with_and_without_baselines(tmp_path: Path, baselines: bool) -> None:
    (tmp_path / "v").mkdir()
    for frame in range(2):
        write_png(tmp_path / "v" / f"{frame}.png", torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8))
    write_keypoints(
        tmp_path / "v.json", Keypoints(("a",), {0: torch.tensor([[9.0, 9.0]]), 1: torch.tensor([[9.0, 9.0]])})
    )
    row = ManifestRow(id="v", uri="v", media_type="video", extra={"keypoints": "v.json"})
    write_manifest(tmp_path / "m.jsonl", [row])
    rows = evaluate_manifest("lab:stride=16", tmp_path / "m.jsonl", "keypoints", ["short_side=64"], baselines=baselines)
    names = {row.encoder for row in rows}
    assert names == ({"lab:stride=16", "identity", "lab"} if baselines else {"lab:stride=16", "identity"})
