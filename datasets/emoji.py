"""Emoji by several artists: pictures of 64 x 64 pixels with names, from npm's packages `emoji-datasource-ARTIST`.

The packages are of the MIT licence; Google's pictures Apache-2.0, Twitter's CC BY 4.0.

    npm pack emoji-datasource-google && tar xf emoji-datasource-google-*.tgz && mv package google
    npm pack emoji-datasource-twitter && tar xf emoji-datasource-twitter-*.tgz && mv package twitter
    python datasets/emoji.py google twitter -o data/emoji.jsonl

Each ROOT is the folder of a package, with `emoji.json` and `img/ARTIST/64/`. A picture's captions are its name and its short
names, its label is the short name, which all artists share, and `category` stands beside. One name in five is of the split
`test`, whoever drew it. Skin tones are left out.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

SIDE = 64
TEST_SHARE = 0.2


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a picture of one package, relative to its folder.

    Raises:
        ManifestError: If the folder is not that of a package.
    """
    try:
        (pictures,) = sorted((root / "img").glob(f"*/{SIDE}"))
        entries: list[dict[str, Any]] = json.loads((root / "emoji.json").read_text(encoding="utf-8"))
        artist = pictures.parent.name
        for entry in entries:
            if entry.get(f"has_img_{artist}", True) and (pictures / entry["image"]).is_file():
                yield _row(entry, artist)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"{root}: expected the folder of an npm package emoji-datasource-ARTIST, with emoji.json and img/ARTIST/{SIDE}: "
            f"{error!r}"
        ) from error


def _row(entry: dict[str, Any], artist: str) -> ManifestRow:
    name = entry["short_name"]
    sentences = [text.lower().replace("_", " ") for text in (entry["name"] or name, *entry["short_names"])]
    return ManifestRow(
        id=f"{artist}/{name}",
        uri=f"img/{artist}/{SIDE}/{entry['image']}",
        media_type="image",
        caption="\n".join(dict.fromkeys(sentences)),
        label=name,
        split="test" if _draw(name) < TEST_SHARE else "train",
        extra={"artist": artist, "category": entry["category"]},
    )


def _draw(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def relative_rows(roots: Sequence[Path], base: Path) -> Iterator[ManifestRow]:
    """The rows of several packages, relative to one folder."""
    for root in roots:
        prefix = Path(os.path.relpath(root, base)).as_posix()
        for row in rows(root):
            row.uri = f"{prefix}/{row.uri}"
            yield row


def main() -> None:
    """Writes the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="+", help="folders of packages")
    parser.add_argument("-o", "--out", type=Path, required=True, help="manifest to write")
    given = parser.parse_args()
    base = given.out.parent
    write_manifest(given.out, relative_rows(given.roots, base), root=base)
    print(given.out)


if __name__ == "__main__":
    main()
