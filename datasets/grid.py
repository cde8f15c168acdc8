"""GRID audiovisual sentence corpus (Cooke et al. 2006): a talker says "bin blue at f two now", seen and heard, in 3 seconds.

With `--words`, each row is one word of a sentence, cut out by the alignment, and the columns `verb`, `color` and so on hold it.

ROOT holds the videos, here or in folders below (`mp4/bbaf2n.mp4`), and may hold the alignments of the words
(`align/bbaf2n.align`). The six signs of a name are the six words of the sentence. No sentence stands twice for a talker, so
clips are split one by one: about a fifth, by a hash of the name, is the split `test`, the rest `train`. With `--splits 160 80`,
exactly 160 are `test` and 80 `valid`, to choose settings on.

The sound track is that of the videos: `size` and `sound` together in the decode stage give both. The column `words` holds when
each word begins and ends, in seconds on the time axis of picture and sound, which begin together.

Source: https://spandh.dcs.shef.ac.uk/gridcorpus, CC BY 4.0.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, media_type_of, write_manifest
from mmssl.errors import ManifestError

WORDS: dict[str, dict[str, str]] = {
    "verb": {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    "color": {"b": "blue", "g": "green", "r": "red", "w": "white"},
    "preposition": {"a": "at", "b": "by", "i": "in", "w": "with"},
    "letter": {sign: sign for sign in "abcdefghijklmnopqrstuvxyz"},
    "digit": dict(
        zip(
            "z123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True
        ),
    ),
    "adverb": {"a": "again", "n": "now", "p": "please", "s": "soon"},
}
"""Words by the signs of a name, in the order of both."""

UNITS_PER_SECOND = 25_000
TEST_EVERY = 5

MOUTH = (82 / 144, 56 / 180, 130 / 144, 104 / 180)
"""Where talker s1 has his mouth: top, left, bottom, right as shares of the picture; 48 x 48 pixels of 180 x 144."""

AROUND_SECONDS = 0.08
"""Lips move before a word is heard and after."""


def rows(
    root: Path, *, box: Sequence[float] | None = None, splits: tuple[int, int] | None = None
) -> Iterator[ManifestRow]:
    """A row a clip: the sentence as its caption, each word in a column, and in `words` when it is said.

    Args:
        root: Folder of the videos.
        box: Part of the picture to decode: top, left, bottom, right as shares; all of it where None.
        splits: How many clips are of the splits `test` and `valid`; about a fifth and none where None.

    Raises:
        ManifestError: If there is no video, one is not named by the corpus's rule, an alignment cannot be read or is that of
            other words, or no clip is left to train on.
    """
    files = sorted(path for path in root.rglob("*") if path.is_file() and media_type_of(path.name) == "video")
    if not files:
        raise ManifestError(f"{root}: holds no video; expected names such as mp4/bbaf2n.mp4")
    split_of = _splits([path.stem for path in files], splits)
    for path in files:
        words = _words(path)
        extra: dict[str, object] = dict(words)
        if box is not None:
            extra["box"] = list(box)
        alignment = root / "align" / f"{path.stem}.align"
        if alignment.is_file():
            extra["words"] = _moments(alignment, list(words.values()))
        yield ManifestRow(
            id=path.stem,
            uri=path.relative_to(root).as_posix(),
            media_type="video",
            caption=" ".join(words.values()),
            split=split_of[path.stem],
            group=path.stem,
            extra=extra,
        )


def word_rows(sentences: Iterable[ManifestRow], kinds: Sequence[str]) -> Iterator[ManifestRow]:
    """A row a word, from the rows of the sentences; the word is its caption and stands in the column of its kind.

    Raises:
        ManifestError: If a sentence has no alignment.
    """
    for row in sentences:
        moments = row.extra.get("words")
        if not isinstance(moments, list) or len(moments) != len(WORDS):
            raise ManifestError(f"{row.id}: has no alignment of {len(WORDS)} words; expected align/{row.id}.align")
        for kind, (begin, end, word) in zip(WORDS, moments, strict=True):
            if kind in kinds:
                box = {"box": row.extra["box"]} if "box" in row.extra else {}
                yield replace(
                    row,
                    id=f"{row.id}/{kind}",
                    start=round(max(0.0, begin - AROUND_SECONDS), 3),
                    end=round(end + AROUND_SECONDS, 3),
                    caption=word,
                    extra={kind: word, **box},
                )


def _words(path: Path) -> dict[str, str]:
    signs = path.stem.lower()
    if len(signs) != len(WORDS) or any(sign not in of for sign, of in zip(signs, WORDS.values(), strict=True)):
        raise ManifestError(
            f"{path}: is not named by six signs for {', '.join(WORDS)}, such as bbaf2n for 'bin blue at f two now'"
        )
    return {kind: of[sign] for sign, (kind, of) in zip(signs, WORDS.items(), strict=True)}


def _splits(names: Sequence[str], counts: tuple[int, int] | None) -> dict[str, str]:
    """The split of each clip, by a hash of its name."""
    hashes = {name: int(hashlib.sha256(name.encode()).hexdigest(), 16) for name in names}
    if counts is None:
        return {name: "train" if value % TEST_EVERY else "test" for name, value in hashes.items()}
    num_test, num_valid = counts
    if min(counts) < 0 or num_test + num_valid >= len(names):
        raise ManifestError(
            f"of {len(names)} clips, {num_test} to test and {num_valid} to validate leave none to train on"
        )
    ordered = sorted(hashes, key=lambda name: hashes[name])
    kinds = ["test"] * num_test + ["valid"] * num_valid + ["train"] * (len(names) - num_test - num_valid)
    return dict(zip(ordered, kinds, strict=True))


def _moments(alignment: Path, words: Sequence[str]) -> list[list[float | str]]:
    """Begin and end in seconds of each word, and the word; silence is left out."""
    found: list[list[float | str]] = []
    for line in alignment.read_text(encoding="utf-8").splitlines():
        try:
            begin, end, word = line.split()
            moment = int(begin) / UNITS_PER_SECOND, int(end) / UNITS_PER_SECOND
        except ValueError as error:
            raise ManifestError(
                f"{alignment}: {line!r} is not begin, end and word, such as '12500 20000 bin'"
            ) from error
        if word not in ("sil", "sp"):
            found.append([*moment, word])
    aligned = [word for _, _, word in found]
    if aligned != list(words):
        raise ManifestError(f"{alignment}: is of {' '.join(map(str, aligned))!r}, its video of {' '.join(words)!r}")
    return found


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of the corpus")
    parser.add_argument("--mouth", action="store_true", help="decode the mouth of talker s1 alone")
    parser.add_argument("--words", nargs="+", choices=tuple(WORDS), metavar="KIND", help=f"of {', '.join(WORDS)}")
    parser.add_argument("--splits", nargs=2, type=int, metavar=("TEST", "VALID"), help="how many clips, exactly")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    found = rows(given.root, box=MOUTH if given.mouth else None, splits=tuple(given.splits) if given.splits else None)
    write_manifest(out, word_rows(found, given.words) if given.words else found, root=given.root)
    print(out)


if __name__ == "__main__":
    main()
