"""CIFAR-10 (Krizhevsky 2009): 60,000 pictures of 32 x 32 pixels in ten classes.

ROOT holds one of

- torchvision's `cifar-10-batches-py`, which `--download` fetches; the pictures are written as PNG,
- `train.zip` and `test.zip`, which hold `train/CLASS/NNNN.jpg` and so on; they are extracted,
- the folders `train` and `test` themselves.

To add a data set of your own, write a file such as this one: `rows(root)` yields a `ManifestRow` for each item, with paths
relative to a folder, and `main` hands them to `write_manifest`, which makes the paths relative to the manifest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.archives import extract_zip
from mmssl.data.building import folder_rows
from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, media_type_of, write_manifest
from mmssl.errors import ManifestError
from mmssl.progress import Progress

SPLITS = ("train", "test")


def rows(root: Path, *, files: Path | None = None) -> Iterator[ManifestRow]:
    """A row a picture, with its class as the label; relative to `files`.

    Args:
        root: Folder in one of the three forms.
        files: Folder that pictures from archives and batches are written to; `ROOT/pictures` where it is not given.

    Raises:
        ManifestError: If the folder is in none of the forms.
    """
    files = files or root / "pictures"
    if all((root / split).is_dir() for split in SPLITS):
        yield from _folder_rows(root, files)
    elif all((root / f"{split}.zip").is_file() for split in SPLITS):
        for split in SPLITS:
            extract_zip(root / f"{split}.zip", files, accept=lambda name: media_type_of(name) == "image")
        yield from _folder_rows(files, files)
    elif (root / "cifar-10-batches-py").is_dir():
        _write_pictures(root, files)
        yield from _folder_rows(files, files)
    else:
        raise ManifestError(
            f"{root}: expected cifar-10-batches-py (--download fetches it), train.zip and test.zip, or train/ and test/"
        )


def _folder_rows(folder: Path, base: Path) -> Iterator[ManifestRow]:
    prefix = Path(os.path.relpath(folder, base)).as_posix()
    for split in SPLITS:
        for row in folder_rows(folder / split):
            uri = f"{split}/{row.uri}" if prefix == "." else f"{prefix}/{split}/{row.uri}"
            yield ManifestRow(
                id=f"{split}/{row.id}", uri=uri, media_type="image", label=row.uri.split("/")[0], split=split
            )


def _write_pictures(root: Path, files: Path) -> None:
    """Writes the pictures of the binary form, which is read only where its checksums are right."""
    from torchvision.datasets import CIFAR10

    try:
        sets = {split: CIFAR10(str(root), train=split == "train") for split in SPLITS}
    except RuntimeError as error:
        raise ManifestError(
            f"{root}: cifar-10-batches-py is incomplete or damaged; fetch it again (--download)"
        ) from error
    with Progress("write", sum(map(len, sets.values())), unit="pictures") as progress:
        for split, pictures in sets.items():
            for number, (picture, label) in enumerate(pictures):
                path = files / split / pictures.classes[label] / f"{number:05}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
                progress.advance()


def main() -> None:
    """Writes the manifest, and pictures to the folder `cifar10` beside it."""
    parser = root_parser(__doc__, "folder of CIFAR-10")
    parser.add_argument("--download", action="store_true", help="fetch torchvision's form to ROOT first (170 MB)")
    given = parser.parse_args()
    if given.download:
        from torchvision.datasets import CIFAR10

        CIFAR10(str(given.root), download=True)
    out = given.out or given.root / "manifest.jsonl"
    files = out.parent / "cifar10"
    write_manifest(out, rows(given.root, files=files), root=files)
    print(out)


if __name__ == "__main__":
    main()
