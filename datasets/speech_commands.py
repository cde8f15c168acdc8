"""Speech Commands (Warden 2018): single words of one second by thousands of speakers, 16 kHz.

ROOT is a folder a word, `yes/0a7c2a8d_nohash_0.wav`, with `validation_list.txt` and `testing_list.txt` beside, as
torchaudio's downloader lays it out (SpeechCommands/speech_commands_v0.02); `--download` lets it do so. A name begins with the
speaker, who is the group: the official lists put all recordings of a speaker into one split.

Source: arXiv:1804.03209, CC BY 4.0.
"""

from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

LISTS = {"validation_list.txt": "val", "testing_list.txt": "test"}
NO_WORD = "_background_noise_"


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a recording: the label is the word, the group the speaker; background noise is left out.

    Args:
        root: Folder of the words' folders and the two lists.

    Raises:
        ManifestError: If a list is missing, there is no recording, or one is not named by the set's rule.
    """
    splits: dict[str, str] = {}
    for name, split in LISTS.items():
        if not (root / name).is_file():
            raise ManifestError(f"{root}: has no {name}; expected the folder of Speech Commands with its two lists")
        splits |= dict.fromkeys((root / name).read_text(encoding="utf-8").split(), split)
    files = [path for path in sorted(root.glob("*/*.wav")) if path.parent.name != NO_WORD]
    if not files:
        raise ManifestError(f"{root}: holds no recording; expected names such as yes/0a7c2a8d_nohash_0.wav")
    for path in files:
        speaker, mark, _ = path.stem.partition("_nohash_")
        if not mark:
            raise ManifestError(f"{path}: is not named SPEAKER_nohash_NUMBER.wav, such as 0a7c2a8d_nohash_0.wav")
        name = path.relative_to(root).as_posix()
        yield ManifestRow(
            id=name.removesuffix(".wav"),
            uri=name,
            media_type="audio",
            label=path.parent.name,
            split=splits.get(name, "train"),
            group=speaker,
        )


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of the words' folders; where to download to with --download")
    parser.add_argument("--download", action="store_true", help="fetch it first, by torchaudio")
    given = parser.parse_args()
    root = given.root
    if given.download:
        from torchaudio.datasets import SPEECHCOMMANDS

        root.mkdir(parents=True, exist_ok=True)
        SPEECHCOMMANDS(str(root), download=True)
        root = root / "SpeechCommands" / "speech_commands_v0.02"
    out = given.out or root / "manifest.jsonl"
    write_manifest(out, rows(root), root=root)
    print(out)


if __name__ == "__main__":
    main()
