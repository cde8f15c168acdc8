"""ESC-50 and ESC-10 (Piczak 2015): environmental sounds of 5 seconds in 50 or 10 classes and five folds.

ROOT is either ESC-50 (`meta/esc50.csv` and `audio/1-100032-A-0.wav`; `--esc10` takes its ten classes alone) or ESC-10 as
folders (`001 - Dog bark/1-100032-A.ogg`). A name is FOLD-SOURCE-TAKE: clips of one source, which share a fold, are a group.

Source: https://github.com/karolpiczak/ESC-50, CC BY-NC 3.0; ESC-10 CC BY 3.0.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, media_type_of, write_manifest
from mmssl.errors import ManifestError

NAME = re.compile(r"(\d)-(\w+)-\w(-\d+)?")


def rows(root: Path, *, test_folds: Sequence[int] = (5,), esc10: bool = False) -> Iterator[ManifestRow]:
    """A row a clip, with its class as the label and its fold in a column.

    Args:
        root: Folder of either set.
        test_folds: Folds that are the split `test`; the others are `train`.
        esc10: Take the ten classes of ESC-10 out of ESC-50.

    Raises:
        ManifestError: If the folder is in neither form, or a file is not named by the set's rule.
    """
    found = list(_listed(root, esc10=esc10) if (root / "meta" / "esc50.csv").is_file() else _in_folders(root))
    if not found:
        raise ManifestError(f"{root}: expected meta/esc50.csv and audio/, or folders such as '001 - Dog bark'")
    for path, label in found:
        match = NAME.fullmatch(path.stem)
        if match is None:
            raise ManifestError(f"{path}: is not named FOLD-SOURCE-TAKE, such as 1-100032-A")
        yield ManifestRow(
            id=path.stem,
            uri=path.relative_to(root).as_posix(),
            media_type="audio",
            label=label,
            split="test" if int(match[1]) in test_folds else "train",
            group=match[2],
            extra={"fold": int(match[1])},
        )


def _listed(root: Path, *, esc10: bool) -> Iterator[tuple[Path, str]]:
    with (root / "meta" / "esc50.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if not esc10 or line["esc10"] == "True":
                yield root / "audio" / line["filename"], line["category"].replace("_", " ")


def _in_folders(root: Path) -> Iterator[tuple[Path, str]]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if media_type_of(path.name) == "audio":
                yield path, folder.name.partition(" - ")[2] or folder.name


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of ESC-50 or ESC-10")
    parser.add_argument("--test-folds", type=int, nargs="+", default=[5], metavar="FOLD", help="the split `test`")
    parser.add_argument("--esc10", action="store_true", help="take the classes of ESC-10 alone out of ESC-50")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root, test_folds=given.test_folds, esc10=given.esc10), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
