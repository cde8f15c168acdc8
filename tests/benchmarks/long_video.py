"""Peak memory of label propagation through a long and a short video.

    python -m tests.benchmarks.long_video VIDEO [--frames 200 10000] [--height 240] [--encoder lab:stride=16]

Plays VIDEO forwards and backwards, again and again, until there are so many frames (so that there is no scene cut), labels
the middle of the first one, and propagates with everything that `mmssl propagate` writes, each length in a process of its
own. Prints one JSON object a length: the peak of resident memory in MiB, and the time a frame.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_index_png
from mmssl.media.video import open_video
from mmssl.models.loading import load_encoder
from mmssl.propagation.presets import DINO
from mmssl.propagation.video import propagate_video
from tests.benchmarks.propagation import peak_mib

MOST_SOURCE_FRAMES = 200


def write_long(video: Path, out: Path, *, num_frames: int, height: int) -> tuple[int, int]:
    """Writes the video forwards and backwards until it has so many frames; returns its size."""
    with open_video(video) as source:
        width = round(source.size[1] * height / source.size[0] / 2) * 2
        frames = [shrunk(frame, (height, width)) for _, frame in islice(source.iterate(), MOST_SOURCE_FRAMES)]
    period = [*frames, *frames[-2:0:-1]]
    with VideoWriter(out, fps=25, size=(height, width)) as film:
        for place in range(num_frames):
            film.write(period[place % len(period)])
    return height, width


def shrunk(frame: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(frame[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def measure(folder: Path, encoder: str, height: int) -> None:
    """Propagates in this process and prints its peak."""
    loaded = load_encoder(encoder)
    before = peak_mib()
    result = propagate_video(
        folder / "long.mp4",
        folder / "first.png",
        encoder=loaded.encoder,
        encoder_name=encoder,
        out=folder / "out",
        preset=replace(DINO, short_side=height),
    )
    facts = {"frames": result.num_frames, "encoder": encoder, "peak_mib": round(peak_mib(), 1)}
    print(json.dumps({**facts, "before_mib": round(before, 1), "seconds_per_frame": result.seconds_per_frame}))


def main() -> None:
    """Parses the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 10000])
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--encoder", default="lab:stride=16")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.video, given.encoder, given.height)
        return
    for num_frames in given.frames:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size = write_long(given.video, folder / "long.mp4", num_frames=num_frames, height=given.height)
            mask = torch.zeros(size, dtype=torch.uint8)
            mask[size[0] // 4 : 3 * size[0] // 4, size[1] // 4 : 3 * size[1] // 4] = 1
            write_index_png(folder / "first.png", mask)
            command = [sys.executable, "-m", "tests.benchmarks.long_video", name, "--measure"]
            subprocess.run([*command, "--encoder", given.encoder, "--height", f"{given.height}"], check=True)


if __name__ == "__main__":
    main()
