"""What the page shows of an evaluation."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmssl.config import Recipe
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.report.section import Images, read_section
from mmssl.stages.run import run


def test_pictures_of_the_encoders_come_before_those_of_baselines(tmp_path: Path) -> None:
    for number in range(8):
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(tmp_path / f"{number}.png")
    rows = [ManifestRow(f"r{number}", f"{number}.png", "image", label=str(number % 2)) for number in range(8)]
    write_manifest(tmp_path / "m.jsonl", rows)
    stages = {
        "clips": {"stage": "decode", "manifest": str(tmp_path / "m.jsonl"), "size": 8},
        "evaluate": {
            "clips": "$clips",
            "encoders": ["random:small_resnet"],
            "evaluation": {"name": "projection", "tsne": False},
        },
    }
    run(Recipe({"name": "drawn", "stages": stages}), out=tmp_path / "run", workers=1)
    _, blocks = read_section(tmp_path / "run" / "evaluate")
    (images,) = (block for block in blocks if isinstance(block, Images))
    shown = list(dict.fromkeys(picture.file.split("/")[0] for picture in images.pictures))
    assert shown == ["random_small_resnet", "pixels"]
