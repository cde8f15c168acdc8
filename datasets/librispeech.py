"""LibriSpeech (Panayotov et al. 2015): read English by many speakers, 16 kHz FLAC, up to 35 seconds, with what is said.

ROOT is `LibriSpeech`, or one of its parts, as torchaudio's downloader lays it out: `PART/SPEAKER/CHAPTER` with recordings
`SPEAKER-CHAPTER-NUMBER.flac` and `SPEAKER-CHAPTER.trans.txt`. `--download PART` fetches a part first. The label and the group are
the speaker; the sentence is the caption.

Parts named `train-...` are the split `train`, `dev-...` `val` and `test-...` `test`. With `--every N`, each N-th recording of a
speaker is `test` and the others are `train`, in groups of their own, to tell speakers apart as in the paper on CPC.

Source: https://www.openslr.org/12, CC BY 4.0.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

SPLITS = {"train": "train", "dev": "val", "test": "test"}


def rows(root: Path, *, every: int | None = None) -> Iterator[ManifestRow]:
    """A row a recording, with columns `speaker`, `chapter` and `part`.

    Args:
        root: `LibriSpeech` or one of its parts.
        every: Put each so-manieth recording of a speaker into the split `test`, and the others into `train`.

    Raises:
        ManifestError: If there is no recording, or one has no line in its chapter's transcript.
    """
    chapters = sorted(root.rglob("*.trans.txt"))
    if not chapters:
        raise ManifestError(f"{root}: holds no chapter; expected such as train-clean-100/19/198/19-198.trans.txt")
    of_speaker: Counter[str] = Counter()
    for transcript in chapters:
        folder = transcript.parent
        lines = dict(line.split(" ", 1) for line in transcript.read_text(encoding="utf-8").splitlines() if line)
        speaker, part = folder.parent.name, folder.parent.parent.name
        for path in sorted(folder.glob("*.flac")):
            if path.stem not in lines:
                raise ManifestError(f"{path}: has no line in {transcript.name}")
            of_speaker[speaker] += 1
            split = SPLITS.get(part.partition("-")[0])
            if every is not None:
                split = "test" if of_speaker[speaker] % every == 0 else "train"
            yield ManifestRow(
                id=path.stem,
                uri=path.relative_to(root).as_posix(),
                media_type="audio",
                label=speaker,
                caption=lines[path.stem],
                split=split,
                group=speaker if every is None else path.stem,
                extra={"speaker": speaker, "chapter": folder.name, "part": part},
            )


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "LibriSpeech, or a part of it; where to download to with --download")
    parser.add_argument("--every", type=int, metavar="N", help="each N-th recording of a speaker is the split `test`")
    parser.add_argument("--download", metavar="PART", help="fetch a part first, such as train-clean-100, by torchaudio")
    given = parser.parse_args()
    root = given.root
    if given.download:
        from torchaudio.datasets import LIBRISPEECH

        root.mkdir(parents=True, exist_ok=True)
        LIBRISPEECH(str(root), url=given.download, download=True)
        root = root / "LibriSpeech"
    out = given.out or root / "manifest.jsonl"
    write_manifest(out, rows(root, every=given.every), root=root)
    print(out)


if __name__ == "__main__":
    main()
