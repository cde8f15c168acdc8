"""VIP: videos of people with masks of 19 body parts and clothes on every 25th frame (Zhou et al. 2018).

ROOT is the folder `VIP_Fine` that holds `lists/val_videos.txt`, `Images/VIDEO/000000000001.jpg` and
`Annotations/Category_ids/VIDEO/000000000001.png`. A row's `masks` are copies in `masks/` beside the manifest, named by the
number of the frame in its folder. For the mean IoU of the field evaluate with `propagation classes=20`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.frames_row import frames_row
from mmssl.data.manifest import ManifestRow, relocated, write_manifest
from mmssl.errors import ManifestError


def rows(root: Path, out: Path, *, split: str = "val") -> Iterator[ManifestRow]:
    """A row for each listed video whose frames are there and whose first frame has a mask.

    Args:
        root: Folder of VIP.
        out: Folder that paths are relative to; `masks/` in it gets the masks.
        split: Name of the list.

    Raises:
        ManifestError: If the folder is not laid out so, or holds no listed video.
    """
    names = root / "lists" / f"{split}_videos.txt"
    if not names.is_file():
        raise ManifestError(f"{root}: expected a list lists/{split}_videos.txt, next to Images and Annotations")
    found = False
    for name in names.read_text(encoding="utf-8").split():
        frames = sorted((root / "Images" / name).glob("*.jpg"))
        annotations = root / "Annotations" / "Category_ids" / name
        if not frames or not (annotations / f"{frames[0].stem}.png").is_file():
            continue
        found = True
        masks = out / "masks" / name
        masks.mkdir(parents=True, exist_ok=True)
        for index, frame in enumerate(frames):
            mask = annotations / f"{frame.stem}.png"
            if mask.is_file():
                shutil.copyfile(mask, masks / f"{index:05}.png")
        (row,) = relocated([frames_row(name, frames, root=root, split=split)], root, out)
        row.extra["masks"] = f"masks/{name}"
        yield row
    if not found:
        raise ManifestError(f"{root}: Images and Annotations/Category_ids hold none of the videos of {names.name}")


def main() -> None:
    """Writes the manifest and the masks."""
    parser = root_parser(__doc__, "folder VIP_Fine")
    parser.add_argument("--split", default="val", help="list to follow: val, train or test")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root, out.parent, split=given.split))
    print(out)


if __name__ == "__main__":
    main()
