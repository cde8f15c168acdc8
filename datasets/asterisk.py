"""Voice prompts of the Asterisk telephone exchange: a few professional voices in several languages, 8 kHz, 1 to 20 seconds.

ROOT holds a folder a voice, LANGUAGE_COUNTRY_SEX_NAME, with the recordings in it or in folders below, as Debian's packages
`asterisk-core-sounds-{en,es,fr,it,ru}-wav` put them into `/usr/share/asterisk/sounds`:

    apt-get download asterisk-core-sounds-en-wav && dpkg -x asterisk-core-sounds-en-wav_*.deb ROOT

The group is the voice, the label its language; nothing says what is spoken but the files' names. Beeps and silence are in.

Source: http://downloads.asterisk.org/pub/telephony/sounds, CC BY-SA 3.0 (the Russian ones CC BY 3.0).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mmssl.data.dataset_arguments import root_parser
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError

VOICE = re.compile(r"([a-z]{2})_([A-Z]{2})_([fm])_(\w+)")


def rows(root: Path) -> Iterator[ManifestRow]:
    """A row a recording, with columns `language`, `country`, `sex`, `voice` and `prompt`, the name of what is said.

    Args:
        root: Folder of the voices' folders, here or in folders below.

    Raises:
        ManifestError: If there is no recording in a voice's folder.
    """
    folders = sorted(path for path in [root, *root.rglob("*")] if path.is_dir() and VOICE.fullmatch(path.name))
    found = False
    for folder in folders:
        match = VOICE.fullmatch(folder.name)
        assert match is not None
        for path in sorted(folder.rglob("*.wav")):
            found = True
            prompt = path.relative_to(folder).with_suffix("").as_posix()
            yield ManifestRow(
                id=f"{folder.name}/{prompt}",
                uri=path.relative_to(root).as_posix(),
                media_type="audio",
                label=match[1],
                group=folder.name,
                extra={
                    "language": match[1],
                    "country": match[2],
                    "sex": match[3],
                    "voice": match[4],
                    "prompt": prompt,
                },
            )
    if not found:
        raise ManifestError(f"{root}: holds no recording in a voice's folder, such as en_US_f_Allison/hello.wav")


def main() -> None:
    """Writes the manifest."""
    parser = root_parser(__doc__, "folder of the voices' folders")
    given = parser.parse_args()
    out = given.out or given.root / "manifest.jsonl"
    write_manifest(out, rows(given.root), root=given.root)
    print(out)


if __name__ == "__main__":
    main()
