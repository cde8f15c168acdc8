"""DAVIS 2016 and 2017: sequences of JPEG frames with a mask of every object in every frame (BSD).

ROOT is the folder that holds `JPEGImages`, `Annotations` and `ImageSets`.

A row's `masks` is the sequence's annotation folder. DAVIS 2017 stores object numbers there, DAVIS 2016 a single object as
255. Both read the same way: the labels that occur, in ascending order, are the objects, and 0 is the background. The row
says which it is: `mask_values` lists the labels of the first frame.
"""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.frames_row import frames_row
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError


def rows(root: Path, *, year: str | None = None, resolution: str = "480p") -> Iterator[ManifestRow]:
    """A row a sequence that `ImageSets` lists and whose frames are there.

    Args:
        root: Folder that holds `JPEGImages`, `Annotations` and `ImageSets`.
        year: `2016` or `2017`; None for all lists there are, the latest first.
        resolution: Name of the folder below `JPEGImages`.

    Raises:
        ManifestError: If the folder is not laid out so, or holds no listed sequence.
    """
    lists = sorted(root.glob(f"ImageSets/{year or '*'}/*.txt"), reverse=True)
    if not lists:
        raise ManifestError(f"{root}: expected lists such as ImageSets/2017/val.txt, next to JPEGImages/{resolution}")
    seen: set[str] = set()
    for file in lists:
        for name in _sequences(file):
            frames = root / "JPEGImages" / resolution / name
            if name in seen or not frames.is_dir():
                continue
            seen.add(name)
            yield _row(root, name, resolution, split=file.stem)
    if not seen:
        raise ManifestError(f"{root}: JPEGImages/{resolution} holds none of the sequences that ImageSets lists")


def _sequences(file: Path) -> list[str]:
    """Names in a list; the 2016 lists name each frame's image and mask instead, whose folder is the sequence."""
    lines = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list(dict.fromkeys(Path(line).parent.name if "/" in line else line for line in lines))


def _row(root: Path, name: str, resolution: str, *, split: str) -> ManifestRow:
    frames = sorted((root / "JPEGImages" / resolution / name).glob("*.jpg"))
    masks = root / "Annotations" / resolution / name
    extra: dict[str, object] = {}
    first = masks / f"{frames[0].stem}.png"
    if first.is_file():
        with Image.open(first) as image:
            values = [value for _, value in image.getcolors() or ()]
        extra = {"masks": masks.relative_to(root).as_posix(), "mask_values": sorted(set(values) - {0, (0, 0, 0)})}
    return frames_row(name, frames, root=root, split=split, extra=extra)


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of DAVIS")
    parser.add_argument("--year", choices=("2016", "2017"), help="lists to follow; all where it is not given")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root, year=given.year), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
