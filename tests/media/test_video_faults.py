"""Bad files raise one clear line that names them; good parts of damaged files stay exact."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import pytest
import torch

from mmssl.errors import DecodeError, MediaError
from mmssl.media.audio import read_audio
from mmssl.media.image import read_image
from mmssl.media.probe import probe
from mmssl.media.video import open_video
from tests.media.numbered import numbers_of, write_numbered

READERS: dict[str, Callable[[Path], object]] = {
    "open_video": open_video,
    "read_image": read_image,
    "read_audio": lambda path: read_audio(path, sample_rate=16000),
    "probe": probe,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy H.264 file with a keyframe every 10 frames and B-frames."""
    path = tmp_path_factory.mktemp("sound") / "sound.mp4"
    options = {"preset": "veryfast", "x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=2:log-level=-1"}
    write_numbered(path, num_frames=40, codec="libx264", options=options)
    return path


def missing(path: Path) -> None:
    del path


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("This is not a video.\n" * 200)


def noise(path: Path) -> None:
    path.write_bytes(torch.randint(0, 256, (20000,), dtype=torch.uint8).numpy().tobytes())


def header_only(path: Path) -> None:
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fault", [missing, empty, text, noise, header_only, pipe, playlist])
@pytest.mark.timeout(20)
def test_what_is_no_media_is_refused(fault: Callable[[Path], None], reader: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    fault(path)
    with pytest.raises(MediaError) as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("probe", "open_video")])
def test_a_folder_is_no_file(reader: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is not a file"):
        READERS[reader](tmp_path)


def test_a_file_that_may_not_be_read(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaError, match="cannot be read: Permission denied"):
        open_video(sound)


def test_sound_without_pictures_and_pictures_without_sound(sound: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16000
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"has no video stream \(streams: audio:aac\)"):
        open_video(tmp_path / "a.m4a")
    with pytest.raises(MediaError, match=r"has no sound track \(streams: video:h264\)"):
        read_audio(sound, sample_rate=None)
    assert probe(tmp_path / "a.m4a").media_type == "audio"


def test_truncated_without_its_index(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(sound.read_bytes()[:8000])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        open_video(tmp_path / "cut.mp4")


@pytest.mark.parametrize("suffix", ["mkv", "avi", "ts", "mpg"])
def test_truncated_file_presents_what_is_left(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    write_numbered(path, num_frames=60, codec=codec, options={"g": "10"}, has_b_frames=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with av.open(str(path)) as container:
        presented = 0
        for packet in container.demux(video=0):
            with suppress(av.error.InvalidDataError):
                presented += len(packet.decode())
    with open_video(path) as video:
        assert 10 < video.num_frames < 60
        assert abs(video.num_frames - presented) <= 1
        keep = video.num_frames - 5
        assert numbers_of(video.frames([keep, 3, keep // 2])) == [keep, 3, keep // 2]


@pytest.mark.parametrize("options", [{"g": "10"}, {"g": "10", "bf": "2"}])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_cut_off_file_tells_how_many_frames_are_missing(suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    index_first = {"movflags": "faststart"} if suffix == "mp4" else {}
    write_numbered(path, num_frames=60, codec="libx264", options=options, container_options=index_first)
    assert probe(path).num_missing_frames is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_video(path) as video:
        assert 10 < video.num_frames < 60
        assert video.num_missing_frames == 60 - video.num_frames
    assert probe(path).num_missing_frames == 60 - video.num_frames


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
def test_damaged_frames_raise_and_the_others_stay_exact(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    options = {
        "libx264": {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0:log-level=-1"},
        "libx265": {"x265-params": "keyint=10:min-keyint=10:scenecut=0:bframes=0:no-open-gop=1:log-level=none"},
    }.get(codec, {"g": "10", "b": "4M"})
    write_numbered(
        path, num_frames=40, codec=codec, options=options, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p"
    )
    with open_video(path) as video:
        exact = video.frames(range(40))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[23]
    data = bytearray(path.read_bytes())
    for at in range(position + 6, position + size):
        data[at] = 0x5A
    path.write_bytes(data)
    with open_video(path) as video:
        before, after = list(range(23)), list(range(30, 40))
        assert torch.equal(video.frames(after), exact[after])
        assert torch.equal(video.frames(before), exact[before])
        with pytest.raises(DecodeError, match="frame 23 of 40 cannot be decoded"):
            video.frames([23])
        with pytest.raises(DecodeError, match="frame 23 of 40 cannot be decoded"):
            for _ in video.iterate():
                pass
        assert torch.equal(video.frames([35]), exact[[35]])


def test_huge_dimensions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_numbered(path, num_frames=2, codec="ffv1")
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 8
    data[at + 4 : at + 12] = (60000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.avi"):
        open_video(path)


def test_one_frame_and_no_frame(tmp_path: Path) -> None:
    write_numbered(tmp_path / "one.mp4", num_frames=1, codec="libx264")
    with open_video(tmp_path / "one.mp4") as video:
        assert video.num_frames == 1
        assert video.duration_seconds > 0
        assert numbers_of(video.frames([0, 0])) == [0, 0]
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(MediaError, match=r"none\.mkv"):
        open_video(tmp_path / "none.mkv")
