"""Frame i is the i-th presented frame, in order and at random, whatever the codec and container."""

import random
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import DecodeError, MediaError
from mmssl.media import timeline
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_png
from mmssl.media.video import open_video
from tests.media.numbered import numbers_of, picture, rotate_mp4, set_display_matrix, write_numbered

NUM_FRAMES = 60
NUM_TRIMMED = 17


def x264(params: str, **more: object) -> dict:
    return {"codec": "libx264", "options": {"preset": "veryfast", "x264-params": f"{params}:log-level=-1"}, **more}


def x265(params: str) -> dict:
    return {"codec": "libx265", "options": {"preset": "veryfast", "x265-params": f"{params}:log-level=none"}}


def vpx(codec: str) -> dict:
    options = {
        "auto-alt-ref": "1",
        "lag-in-frames": "12",
        "g": "20",
        "deadline": "realtime",
        "cpu-used": "8",
        "b": "400k",
    }
    return {"codec": codec, "options": options}


GAPS = random.Random(0).choices([1, 2, 5, 11, 40], k=NUM_FRAMES)
VFR = {"pts": [sum(GAPS[:i]) for i in range(NUM_FRAMES)], "time_base": Fraction(1, 100)}
OPEN_GOP = "keyint=12:bframes=3:open-gop=1:scenecut=0:b-adapt=0"
MPEG = {"has_b_frames": 2, "options": {"g": "12", "b": "4M"}}
SVT = {"codec": "libsvtav1", "options": {"preset": "12", "g": "20", "svtav1-params": "lp=1"}}

FORMATS = {
    "h264_b_frames.mp4": x264("keyint=12:bframes=3:b-pyramid=normal"),
    "h264_open_gop.mp4": x264(OPEN_GOP),
    "h264_open_gop.mkv": x264(OPEN_GOP),
    "h264_long_gop.mkv": x264("keyint=250"),
    "h264_intra_refresh.mp4": x264("keyint=20:intra-refresh=1"),
    "h264_vfr.mp4": x264("keyint=20", **VFR),
    "h264_vfr.mkv": x264("keyint=20", **VFR),
    "h264_10bit.mp4": x264("keyint=20", pix_fmt="yuv420p10le"),
    "h264_gray.mp4": x264("keyint=20", pix_fmt="gray"),
    "h264_odd.mp4": x264("keyint=20", pix_fmt="yuv444p", width=131, height=97),
    "h264_b_frames.avi": x264("keyint=12:bframes=3"),
    "h264_b_frames.ts": x264("keyint=12:bframes=3"),
    "h264_edit_list.mp4": x264("keyint=30:bframes=3", shift=NUM_TRIMMED * 512, time_base=Fraction(1, 12800)),
    "hevc_open_gop.mp4": x265("keyint=12:bframes=4"),
    "hevc_closed_gop.mkv": x265("keyint=12:no-open-gop=1"),
    "vp8.webm": vpx("libvpx"),
    "vp9.webm": vpx("libvpx-vp9"),
    "av1.mp4": SVT,
    "av1.mkv": SVT,
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12", "b": "4M"}},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", **MPEG},
    "mpeg4_b_frames.mp4": {"codec": "mpeg4", **MPEG},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mpeg2.mpg": {"codec": "mpeg2video", **MPEG},
    "ffv1_16bit.mkv": {"codec": "ffv1", "pix_fmt": "yuv444p16le"},
    "animation.gif": {"codec": "gif", "pix_fmt": "rgb8"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_frame_and_random_access(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_numbered(path, num_frames=NUM_FRAMES, **FORMATS[name])
    expected = list(range(NUM_TRIMMED if "edit_list" in name else 0, NUM_FRAMES))
    with open_video(path) as video:
        in_order = torch.stack([frame for _, frame in video.iterate()])
        assert numbers_of(in_order) == expected
        assert video.num_frames == len(expected)
        assert bool((video.pts_seconds.diff() > 0).all())
        if "vfr" in name:
            assert_close(video.pts_seconds, torch.tensor(VFR["pts"], dtype=torch.float64) / 100)
        draw = random.Random(1)
        for index in [draw.randrange(video.num_frames) for _ in range(100)]:
            assert torch.equal(video.frames([index])[0], in_order[index]), index
        several = draw.choices(range(video.num_frames), k=20)
        assert torch.equal(video.frames(several), in_order[several])


@pytest.mark.parametrize(
    ("name", "is_decoded"),
    [("mpeg4.avi", False), ("mjpeg.avi", False), ("mpeg4_b_frames.avi", True), ("h264_b_frames.mp4", False)],
)
def test_opening_decodes_the_file_only_where_its_packets_do_not_tell_the_frames(
    name: str, is_decoded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    write_numbered(path, num_frames=20, **FORMATS[name])
    decoded = []
    decode_all = timeline._decoded
    monkeypatch.setattr(timeline, "_decoded", lambda *of: decoded.append(of) or decode_all(*of))
    with open_video(path) as video:
        assert bool(decoded) == is_decoded
        assert video.num_frames == 20
        assert video.pts_seconds.tolist() == pytest.approx([moment / 25 for moment in range(20)])


def test_times_are_those_that_decoding_in_order_presents(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_numbered(path, num_frames=30, **x264("keyint=12:bframes=3", pts=VFR["pts"], time_base=VFR["time_base"]))
    with av.open(str(path)) as container, open_video(path) as video:
        assert video.pts_seconds.tolist() == [frame.time for frame in container.decode(video=0)]


def test_wrong_presentation_times_do_not_reorder_frames(tmp_path: Path) -> None:
    """Some writers store decoding times as presentation times; the decoder's order is right all the same."""
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    write_numbered(good, num_frames=30, **x264("keyint=12:bframes=3:b-adapt=0"))
    with av.open(str(good)) as source, av.open(str(bad), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for count, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            packet.pts = packet.dts = count * 512
            packet.stream = stream
            target.mux(packet)
    with open_video(bad) as video:
        assert numbers_of(video.frames([29, 3, 17, 4])) == [29, 3, 17, 4]
        assert bool((video.pts_seconds.diff() > 0).all())


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_rotation_tag_is_applied(quarter_turns: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_numbered(path, num_frames=5, **x264("keyint=20"))
    with open_video(path) as video:
        upright = video.frames(range(5))
    rotate_mp4(path, quarter_turns)
    with open_video(path) as video:
        turned = video.frames(range(5))
        assert video.size == tuple(turned.shape[2:])
        assert torch.equal(turned, torch.rot90(upright, -quarter_turns, (2, 3)))
        small = video.frames([2], size=(30, 20))
        assert small.shape == (1, 3, 30, 20)


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)])
def test_mirroring_is_applied(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_numbered(path, num_frames=2, **x264("keyint=20"))
    with open_video(path) as video:
        stored = video.frames([1])[0]
    set_display_matrix(path, *matrix)
    with open_video(path) as video:
        shown = video.frames([1])[0]
        assert video.size == tuple(shown.shape[1:])
    a, b, c, d = matrix
    height, width = stored.shape[1:]
    for x, y in [(0, 0), (5, 0), (0, 7), (40, 33), (width - 1, height - 1)]:
        shown_x, shown_y = a * x + c * y, b * x + d * y
        shown_x += shown.shape[2] - 1 if a + c < 0 else 0
        shown_y += shown.shape[1] - 1 if b + d < 0 else 0
        assert torch.equal(shown[:, shown_y, shown_x], stored[:, y, x])


def test_slanted_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_numbered(path, num_frames=2, **x264("keyint=20"))
    set_display_matrix(path, 0.8, 0.6, -0.6, 0.8)
    with pytest.raises(MediaError, match=r"a\.mp4: its display matrix .* is not made of quarter turns and mirroring"):
        open_video(path)


def test_lossless_video_comes_back_as_written(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (7, 3, 17, 33), dtype=torch.uint8)
    with VideoWriter(tmp_path / "a.mp4", fps=Fraction(30000, 1001), size=(17, 33), lossless=True) as writer:
        for frame in frames:
            writer.write(frame)
    with open_video(tmp_path / "a.mp4") as video:
        assert torch.equal(video.frames([6, 0, 3, 3]), frames[[6, 0, 3, 3]])
        assert_close(video.pts_seconds, torch.arange(7, dtype=torch.float64) * 1001 / 30000)
        assert video.duration_seconds == pytest.approx(7 * 1001 / 30000)


@pytest.mark.parametrize(("matrix", "color_range"), [(1, 1), (1, 2), (5, 1), (5, 2), (2, 0)])
def test_color_matrix_and_range(matrix: int, color_range: int, tmp_path: Path) -> None:
    """A flat YUV picture becomes the RGB that the standard's formula gives; unmarked means BT.601, limited range."""
    y, u, v = 120, 90, 170
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, color_range
        frame = av.VideoFrame(64, 48, "yuv420p")
        for plane, value in zip(frame.planes, (y, u, v), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.colorspace, frame.color_range = matrix, color_range
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    red, blue = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    luma, chroma = (float(y), 1.0) if color_range == 2 else ((y - 16) * 255 / 219, 255 / 224)
    r = luma + 2 * (1 - red) * chroma * (v - 128)
    b = luma + 2 * (1 - blue) * chroma * (u - 128)
    g = (luma - red * r - blue * b) / (1 - red - blue)
    with open_video(tmp_path / "a.mkv") as video:
        got = video.frames([0])[0, :, 24, 32].to(torch.float32)
    assert_close(got, torch.tensor([r, g, b]), rtol=0, atol=2)


def test_smaller_size_is_antialiased(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_numbered(path, num_frames=3, width=256, height=192, codec="ffv1", pix_fmt="yuv444p")
    with open_video(path) as video:
        full = video.frames(range(3)).to(torch.float32)
        small = video.frames(range(3), size=(40, 60)).to(torch.float32)
    wanted = torch.nn.functional.interpolate(full, (40, 60), mode="bilinear", antialias=True)
    assert float((small - wanted).abs().mean()) < 1.0
    nearest = torch.nn.functional.interpolate(full, (40, 60), mode="nearest")
    assert float((nearest - wanted).abs().mean()) > 3.0


def test_folder_of_numbered_images(tmp_path: Path) -> None:
    for number in (9, 10, 11):
        write_png(tmp_path / f"frame_{number}.png", torch.from_numpy(picture(number)).permute(2, 0, 1))
    (tmp_path / "notes.txt").write_text("no image")
    with open_video(tmp_path) as video:
        assert video.pts_seconds.tolist() == [0.0, 0.04, 0.08]
        assert numbers_of(video.frames([2, 0, 1])) == [11, 9, 10]
        assert [index for index, _ in video.iterate(start=1)] == [1, 2]
    (tmp_path / "frame_10.png").unlink()
    with pytest.raises(MediaError, match="1 images are missing, the first is number 10"):
        open_video(tmp_path)


def test_indices_outside_are_refused_and_reading_goes_on(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", num_frames=12, **x264("keyint=5"))
    with open_video(tmp_path / "a.mp4") as video:
        for wrong in (-1, 12):
            with pytest.raises(DecodeError, match=r"it has 12 frames, 0 to 11"):
                video.frames([0, wrong])
        with pytest.raises(DecodeError):
            next(video.iterate(start=3, stop=13))
        assert video.frames([]).shape == (0, 3, 96, 128)
        pairs = []
        for index, frame in video.iterate(start=2, stop=9):
            pairs.append((numbers_of(frame[None])[0], numbers_of(video.frames([11 - index]))[0]))
        assert pairs == [(index, 11 - index) for index in range(2, 9)]
        assert numbers_of(video.frames([7])) == [7]


def test_unknown_backend(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="backends are"):
        open_video(tmp_path, backend="magic")
