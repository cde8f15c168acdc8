"""Synthetic video with known truth: `python datasets/synthetic.py ROOT` makes it, `rows(ROOT)` reads it back."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.manifest import ManifestRow, read_manifest
from mmssl.data.synthetic import write_synthetic


def rows(root: Path) -> Iterator[ManifestRow]:
    """The rows of a folder that this script has filled."""
    yield from read_manifest(root / "manifest.jsonl").rows


def main() -> None:
    """Makes the videos, and beside them the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder to fill")
    parser.add_argument("--videos", type=int, default=40, help="how many")
    parser.add_argument("--frames", type=int, default=32, help="frames a video, at 16 a second")
    parser.add_argument("--backgrounds", type=Path, help="folder of images to move in front of")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 256), metavar=("HEIGHT", "WIDTH"), help="in pixels")
    parser.add_argument("--takes", type=int, default=1, help="videos of each scene, which is then the label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes; changes nothing but the time")
    given = parser.parse_args()
    manifest = write_synthetic(
        given.root,
        num_videos=given.videos,
        num_frames=given.frames,
        size=tuple(given.size),
        backgrounds=given.backgrounds,
        takes=given.takes,
        seed=given.seed,
        workers=given.workers,
    )
    print(manifest.path)


if __name__ == "__main__":
    main()
