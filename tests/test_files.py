"""Files that take their place whole."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mmssl.files import atomic_file, atomic_folder


def test_what_a_library_wrote_for_its_owner_alone_can_be_read_like_its_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with atomic_file(tmp_path / "a.safetensors") as path:
        save_file({"x": torch.ones(1)}, path)
        path.chmod(0o600)
    with atomic_folder(tmp_path / "folder") as folder:
        folder.chmod(0o750)
        (folder / "b").write_bytes(b"1")
        (folder / "b").chmod(0o600)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder" / "b").stat().st_mode & 0o777 == 0o640


def test_nothing_takes_its_place_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    for begin in (atomic_file, atomic_folder):
        with pytest.raises(IsADirectoryError), begin(tmp_path / "a") as path:
            Path("/").write_text(f"something, while {path} is half done")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"
