from pathlib import Path

import pytest

from mmssl.media.cut_off import is_cut_off
from tests.media.numbered import write_numbered


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi"])
def test_a_file_is_cut_off_when_it_lacks_a_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_numbered(path, num_frames=5, codec="libvpx" if name == "a.webm" else "libx264")
    assert not is_cut_off(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert is_cut_off(path)


def test_a_stream_of_unknown_length_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_numbered(path, num_frames=5, codec="libx264", container_options={"live": "1"})
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_cut_off(path)


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00", b"text, and not a container\n"])
def test_what_does_not_state_its_size_is_not(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    assert not is_cut_off(path)
