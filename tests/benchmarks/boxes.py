"""Boxes around DAVIS masks carried from the first frame, against the boxes around the later masks.

    python -m tests.benchmarks.boxes DAVIS [--sequences NAME ...] [--frames 16] [--encoder lab]

Prints one JSON object a line: mean intersection over union over the frames after the first, a sequence, and over sequences.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmssl.media.image import read_index_png
from mmssl.models.loading import load_encoder
from mmssl.propagation.rows import from_line
from mmssl.propagation.video import propagate_video
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels

HELD_OUT = ("car-roundabout", "dance-twirl", "drift-straight")
"""Sequences that nothing was chosen on."""


def box_of(mask_file: Path) -> NDArray[np.float64] | None:
    mask = read_index_png(mask_file).numpy() > 0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(sides.clip(min=0)))
    return common / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def score(root: Path, sequence: str, num_frames: int, encoder: str) -> float:
    frames = sorted((root / "JPEGImages" / "480p" / sequence).glob("*.jpg"))[:num_frames]
    masks = root / "Annotations" / "480p" / sequence
    loaded = load_encoder(encoder)
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "frames", Path(scratch) / "out"
        folder.mkdir()
        for frame in frames:
            (folder / frame.name).symlink_to(frame.resolve())
        first = box_of(masks / f"{frames[0].stem}.png")
        size = tuple(read_index_png(masks / f"{frames[0].stem}.png").shape)
        assert first is not None
        labels = VideoLabels(
            (size[0], size[1]), None, (LabelObject(1, sequence, "box"),), {0: FrameLabels(boxes={1: first})}
        )
        propagate_video(folder, labels, encoder=loaded.encoder, encoder_name=encoder, out=out, overlay=False)
        lines = [line for file in sorted((out / "segments").iterdir()) for line in file.read_text().splitlines()]
    found = [from_line(line)[1][1].box for line in lines]
    overlaps = []
    for frame, box in list(zip(frames, found, strict=True))[1:]:
        truth = box_of(masks / f"{frame.stem}.png")
        if truth is not None:
            overlaps.append(0.0 if box is None else overlap(np.array(box), truth))
    return float(np.mean(overlaps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--sequences", nargs="+", default=HELD_OUT)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--encoder", default="lab")
    options = parser.parse_args()
    values = []
    for sequence in options.sequences:
        values.append(score(options.root, sequence, options.frames, options.encoder))
        print(
            json.dumps({"sequence": sequence, "frames": options.frames, "mean_iou": round(values[-1], 3)}), flush=True
        )
    print(
        json.dumps({"sequences": len(values), "encoder": options.encoder, "mean_iou": round(float(np.mean(values)), 3)})
    )


if __name__ == "__main__":
    main()
