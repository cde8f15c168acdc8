"""decord shows exactly the presented frames of the files it is let read, and every other file is refused."""

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import pytest
import torch
from torch.nn.functional import interpolate
from torch.testing import assert_close

from mmssl.errors import DecodeError, MediaError
from mmssl.media.video import open_video
from tests.media.numbered import numbers_of, rotate_mp4, set_display_matrix, write_numbered
from tests.media.test_video import FORMATS, MPEG, NUM_FRAMES, x264

decord = pytest.importorskip("decord")

ACCEPTED = {
    **{
        name: FORMATS[name]
        for name in (
            "h264_b_frames.mp4",
            "h264_long_gop.mkv",
            "h264_vfr.mp4",
            "h264_vfr.mkv",
            "h264_odd.mp4",
            "vp9.webm",
        )
    },
    "mpeg4.avi": {"codec": "mpeg4", **MPEG, "has_b_frames": 0},
}

REFUSED = {
    "h264_open_gop.mp4": "begin at other frames than the keyframes",
    "h264_intra_refresh.mp4": "begin at other frames than the keyframes",
    "h264_edit_list.mp4": "it counts 60 frames, but 43 are presented",
    "h264_10bit.mp4": r"another picture as frame 20 \(off by \d+ of 255\)",
    "h264_b_frames.avi": "not trusted with h264 in avi",
    "hevc_open_gop.mp4": "not trusted with hevc in mov",
    "vp8.webm": "not trusted with vp8 in matroska",
    "av1.mkv": "not trusted with av1 in matroska",
    "mpeg4_b_frames.avi": "which is presented at",
    "mpeg4_b_frames.mp4": "not trusted with mpeg4 in mov",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_frame_and_random_access(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_numbered(path, num_frames=NUM_FRAMES, **ACCEPTED[name])
    with open_video(path, backend="av") as exact, open_video(path, backend="decord") as video:
        assert torch.equal(video.pts_seconds, exact.pts_seconds)
        assert (video.size, video.end_seconds) == (exact.size, exact.end_seconds)
        in_order = torch.stack([frame for _, frame in video.iterate()])
        assert numbers_of(in_order) == list(range(NUM_FRAMES))
        pairs = zip(in_order, exact.iterate(), strict=True)
        assert max(int((ours.int() - frame.int()).abs().max()) for ours, (_, frame) in pairs) <= 2
        draw = random.Random(1)
        for index in [draw.randrange(NUM_FRAMES) for _ in range(100)]:
            assert torch.equal(video.frames([index])[0], in_order[index]), index
        several = draw.choices(range(NUM_FRAMES), k=20)
        assert torch.equal(video.frames(several), in_order[several])


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_would_come_out_wrong_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_numbered(path, num_frames=NUM_FRAMES, **FORMATS[name])
    with pytest.raises(MediaError, match=f"{REFUSED[name]}.*; use backend 'av' or 'auto'") as caught:
        open_video(path, backend="decord")
    assert str(path) in str(caught.value)


def test_keyframes_that_are_none_are_found_by_looking(tmp_path: Path) -> None:
    """With intra refresh, what is marked as a keyframe is whole only some frames later."""
    write_numbered(tmp_path / "a.mp4", num_frames=NUM_FRAMES, **x264("keyint=20:intra-refresh=1:bframes=0"))
    with pytest.raises(MediaError, match=r"another picture as frame 20|cannot decode frame 20"):
        open_video(tmp_path / "a.mp4", backend="decord")


@pytest.mark.parametrize(
    "change", [lambda path: rotate_mp4(path, 2), lambda path: set_display_matrix(path, -1, 0, 0, 1)]
)
def test_turned_and_mirrored_video_is_refused(change: Callable[[Path], None], tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", num_frames=3, **x264("keyint=20"))
    change(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="turned or mirrored"):
        open_video(tmp_path / "a.mp4", backend="decord")


def test_without_decord_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", num_frames=3, **x264("keyint=20"))
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(MediaError, match=r"a\.mp4: decord cannot be loaded here .* use backend 'av' or 'auto'"):
        open_video(tmp_path / "a.mp4", backend="decord")
    with open_video(tmp_path / "a.mp4") as video:
        assert video.num_frames == 3


def test_damage_is_refused_or_raises_but_shows_no_wrong_frame(tmp_path: Path) -> None:
    """decord decodes ahead by as much as time allows, so the damage may be met at any frame, even on opening."""
    path = tmp_path / "a.mkv"
    write_numbered(path, num_frames=80, **x264("keyint=10:min-keyint=10:scenecut=0:bframes=0"))
    with open_video(path) as video:
        exact = video.frames(range(80))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[73]
    data = bytearray(path.read_bytes())
    data[position + 6 : position + size] = b"\x5a" * (size - 6)
    path.write_bytes(data)
    shown = []
    with suppress(MediaError), open_video(path, backend="decord") as video:
        for index in [*range(80), 5, 15]:
            with suppress(DecodeError):
                assert torch.equal(video.frames([index])[0], exact[index])
                shown.append(index)
    assert 73 not in shown


@pytest.mark.parametrize("content", [b"", b"This is no video.\n" * 50])
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mp4"):
        open_video(tmp_path / "a.mp4", backend="decord")


def test_truncated_file_shows_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_numbered(path, num_frames=60, **x264("keyint=10:bframes=2"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_video(path) as exact, open_video(path, backend="decord") as video:
        assert 10 < video.num_frames == exact.num_frames < 60
        keep = video.num_frames - 5
        assert numbers_of(video.frames([keep, 3, keep // 2])) == [keep, 3, keep // 2]


def test_reading_interleaves_resizes_and_ends(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", num_frames=12, width=256, height=192, **x264("keyint=5"))
    with open_video(tmp_path / "a.mp4") as exact, open_video(tmp_path / "a.mp4", backend="decord") as video:
        pairs = []
        for index, frame in video.iterate(start=2, stop=9):
            pairs.append((numbers_of(frame[None])[0], numbers_of(video.frames([11 - index]))[0]))
        assert pairs == [(index, 11 - index) for index in range(2, 9)]
        small = video.frames([4, 7], size=(40, 60))
        assert small.shape == (2, 3, 40, 60)
        wanted = interpolate(exact.frames([4, 7]).float(), (40, 60), mode="bilinear", antialias=True)
        assert_close(small.float(), wanted, rtol=0, atol=1)
        with pytest.raises(DecodeError, match="it has 12 frames"):
            video.frames([12])
    with pytest.raises(DecodeError, match="is closed"):
        video.frames([0])


@pytest.mark.data
def test_real_videos_are_the_same_or_refused(real_data: Path) -> None:
    accepted = 0
    for file in sorted((real_data / "videos").iterdir()):
        if file.stat().st_size > 700_000:
            continue
        draw = random.Random(file.name)
        with suppress(MediaError), open_video(file, backend="decord") as video, open_video(file) as exact:
            chosen = [draw.randrange(video.num_frames) for _ in range(3)] + [video.num_frames - 1]
            difference = (video.frames(chosen).int() - exact.frames(chosen).int()).abs()
            assert int(difference.max()) <= 2, file.name
            accepted += 1
    assert accepted >= 8
