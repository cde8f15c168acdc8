"""Free Spoken Digit Dataset (Jackson et al.): English digits said by a few speakers, 8 kHz, less than a second each.

ROOT holds the recordings `DIGIT_SPEAKER_TAKE.wav`, here or in folders below. Takes 0 to 4 of each digit and speaker are the
official test. With them as split `test`, each recording is a group of its own; with `--by-speaker` the rows have no split and
the group is the speaker, so that evaluations can leave each speaker out in turn. The label is the digit.

Source: https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

NAME = re.compile(r"(\d)_(.+)_(\d+)")
NUM_TEST_TAKES = 5


def rows(root: Path, *, by_speaker: bool = False) -> Iterator[ManifestRow]:
    """A row a recording, with columns `digit`, `speaker` and `take`.

    Args:
        root: Folder of the recordings.
        by_speaker: Whether speakers are the groups and there are no splits.

    Raises:
        ManifestError: If there is no recording, or one is not named by the set's rule.
    """
    files = sorted(root.rglob("*.wav"))
    if not files:
        raise ManifestError(f"{root}: holds no recording; expected names such as recordings/7_jackson_32.wav")
    for path in files:
        match = NAME.fullmatch(path.stem)
        if match is None:
            raise ManifestError(f"{path}: is not named DIGIT_SPEAKER_TAKE.wav, such as 7_jackson_32.wav")
        digit, speaker, take = match[1], match[2], int(match[3])
        yield ManifestRow(
            id=path.stem,
            uri=path.relative_to(root).as_posix(),
            media_type="audio",
            label=digit,
            split=None if by_speaker else "test" if take < NUM_TEST_TAKES else "train",
            group=speaker if by_speaker else path.stem,
            extra={"digit": digit, "speaker": speaker, "take": take},
        )


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of the recordings")
    parser.add_argument("--by-speaker", action="store_true", help="speakers as groups, without splits")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root, by_speaker=given.by_speaker), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
