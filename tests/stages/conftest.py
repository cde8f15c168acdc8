from pathlib import Path

import numpy as np
import pytest
import torch

from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_index_png

SIZE = 32
FRAMES = 6
LABELS = ("bright", "dark")


def write_video(path: Path, number: int) -> None:
    """A square that moves over noise."""
    noise = torch.from_numpy(np.random.default_rng(number).integers(0, 90, (3, SIZE, SIZE)).astype(np.uint8))
    with VideoWriter(path, fps=10.0, size=(SIZE, SIZE)) as writer:
        for frame in range(FRAMES):
            image = noise.clone()
            image[number % 3, 8:20, 4 + 2 * frame : 14 + 2 * frame] = 250 - 100 * (number % 2)
            writer.write(image)


def write_data(folder: Path, *, count: int = 8) -> Path:
    """A manifest of small videos with labels, splits and masks; every fourth is held out."""
    rows = []
    for number in range(count):
        path = folder / "videos" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, number)
        masks = folder / "masks" / str(number)
        masks.mkdir(parents=True)
        for frame in range(FRAMES):
            labels = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
            labels[8:20, 4 + 2 * frame : 14 + 2 * frame] = 1
            write_index_png(masks / f"{frame:05}.png", labels)
        rows.append(
            ManifestRow(
                id=f"v{number}",
                uri=f"videos/{number}.mp4",
                media_type="video",
                label=LABELS[number % 2],
                split="test" if number % 4 >= 2 else "train",
                extra={"masks": f"masks/{number}"},
            )
        )
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def write_recipe(folder: Path, manifest: Path) -> Path:
    """A recipe with every kind of stage, small enough for a test."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"""\
name: small
seed: 3
stages:
  clips:
    stage: decode
    manifest: {manifest}
    num_frames: 4
    size: 32
    sampler: {{name: random, seconds_between_frames: 0.1, num_clips: 2}}
    rows_per_shard: 3
  color:
    stage: train
    clips: $clips
    encoder: {{name: small_resnet, input: lightness, width: 4, feature_dim: 8}}
    objective: {{name: video_colorization, num_colors: 4}}
    view: {{name: frames, size: 32, num_frames: 3}}
    training: {{batch_size: 4, num_steps: 6, log_every: 2, watch_every: 4, checkpoint_every_steps: 2}}
  contrast:
    stage: train
    clips: $clips
    encoder: {{name: small_resnet, width: 4, feature_dim: 8}}
    objective: simclr
    view: {{name: simclr, size: 32}}
    training: {{batch_size: 4, num_steps: 6, log_every: 2, watch_every: 4, checkpoint_every_steps: 2}}
  embed: {{clips: $clips, encoders: [$contrast, pixels], clips_per_part: 5}}
  index: {{embeddings: $embed, clips: $clips, gallery_queries: 2}}
  knn: {{stage: evaluate, clips: $clips, embeddings: $embed, encoders: [$contrast], evaluation: {{name: knn, ks: [3]}}}}
""")
    return recipe


@pytest.fixture(scope="session")
def small_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    return write_recipe(folder, write_data(folder))
