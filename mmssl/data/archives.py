"""Takes files out of tar and zip archives without letting one write outside its folder."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from mmssl.errors import ManifestError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def member_path(name: str, archive: Path) -> PurePosixPath:
    """A member's name as a path below the folder that it is extracted to.

    Raises:
        ManifestError: If it is absolute, climbs with `..`, or is a name that only some systems take for such a path.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name[:2] or "\0" in name or not path.parts:
        raise ManifestError(
            f"{archive}: holds {name!r}, which would be written outside its folder; nothing of it is used"
        )
    return path


def tar_members(archive: Path) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Path and content of each file in a tar, in its order; folders are passed over. Read them within `tar_damage`.

    Raises:
        ManifestError: If the archive holds a link, a device, or a path outside its folder.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member_path(member.name, archive)
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                raise ManifestError(f"{archive}: holds {member.name!r}, a link or a device; only files are accepted")
            yield path, content


@contextmanager
def tar_damage(archive: Path) -> Iterator[None]:
    """Turns what goes wrong while the members of a tar are read into an error that names it."""
    try:
        yield
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ManifestError(f"{archive}: cannot be read to its end: {error}") from error


def extract_zip(archive: Path, folder: Path, *, accept: Callable[[str], bool]) -> list[str]:
    """Extracts the files of a zip that `accept` takes by name; gives their paths below the folder, in the zip's order.

    Raises:
        ManifestError: If the archive is damaged, too large for the disk, or holds a link or a path outside its folder.
    """
    names = []
    try:
        with zipfile.ZipFile(archive) as packed:
            wanted = [(member_path(member.filename, archive), member) for member in packed.infolist()]
            wanted = [(path, member) for path, member in wanted if not member.is_dir() and accept(member.filename)]
            links = [member.filename for _, member in wanted if member.external_attr >> 28 == 0xA]
            if links:
                raise ManifestError(f"{archive}: holds {links[0]!r}, a link; only files are accepted")
            folder.mkdir(parents=True, exist_ok=True)
            needed, free = sum(member.file_size for _, member in wanted), shutil.disk_usage(folder).free
            if needed > free:
                raise ManifestError(
                    f"{archive}: needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free"
                )
            for path, member in wanted:
                with packed.open(member) as content:
                    write_whole(folder / path, content.read)
                names.append(path.as_posix())
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ManifestError(f"{archive}: cannot be extracted: {error}") from error
    return names


def write_whole(path: Path, read: Callable[[int], bytes]) -> None:
    """Copies what a file's `read` gives to a file, which appears under its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        while chunk := read(1 << 20):
            file.write(chunk)
    partial.replace(path)
