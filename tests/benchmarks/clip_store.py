"""Times random batches from a clip store beside decoding the same clips from their video files.

Run it as `python tests/benchmarks/clip_store.py`, with MMSSL_DATA set to use its real videos instead of synthetic ones.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from mmssl.data.clip_store import ClipStore, ClipStoreWriter
from mmssl.data.dataset import ClipItem
from mmssl.errors import MediaError
from mmssl.media.clip import Clip
from mmssl.media.encode import VideoWriter
from mmssl.media.video import open_video

NUM_FRAMES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="side of the clips")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        size = (arguments.size, arguments.size)
        wanted = choose(videos(Path(folder)))
        store = fill(Path(folder) / "store", wanted, size)
        print(f"{len(store)} clips of {NUM_FRAMES} frames at {size} from {len({path for path, _ in wanted})} videos")
        order = np.random.default_rng(0)
        times: dict[str, list[float]] = {"store": [], "open_video": [], "PyAV": []}
        for _ in range(arguments.repeats):
            batch = order.integers(len(store), size=arguments.batch).tolist()
            ways: dict[str, Callable[[], Tensor]] = {
                "store": lambda batch=batch: store.clips(batch),
                "open_video": lambda batch=batch: torch.stack([decode(*wanted[index], size) for index in batch]),
                "PyAV": lambda batch=batch: torch.stack([decode_with_pyav(*wanted[index], size) for index in batch]),
            }
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - began)
    for name, seconds in times.items():
        clips_per_second = arguments.batch / median(seconds)
        ratio = median(seconds) / median(times["store"])
        print(f"{name:>10}: {clips_per_second:10.1f} clips/s   store is {ratio:7.1f} x as fast")


def videos(folder: Path) -> list[Path]:
    """Real videos that PyAV and open_video agree on, or synthetic ones."""
    data = os.environ.get("MMSSL_DATA")
    if data:
        files = sorted(Path(data, "grid").rglob("*.mp4")) or sorted(Path(data, "grid").rglob("*.mpg"))
        others = [path for path in sorted(Path(data, "videos").iterdir()) if path.suffix == ".mp4"]
        return [*files[:12], *others[:8]]
    random = np.random.default_rng(0)
    for number in range(6):
        background = random.integers(0, 256, (3, 240, 320 + 60), dtype=np.uint8)
        with VideoWriter(folder / f"{number}.mp4", fps=25.0, size=(240, 320)) as writer:
            for frame in range(60):
                writer.write(torch.from_numpy(background[:, :, frame : frame + 320].copy()))
    return sorted(folder.glob("*.mp4"))


def choose(files: list[Path]) -> list[tuple[Path, list[int]]]:
    """Up to four clips of each video: consecutive frames from places spread over it."""
    wanted = []
    for path in files:
        try:
            with open_video(path) as video:
                count = video.num_frames
        except MediaError:
            continue
        starts = sorted({round(part * max(0, min(count, 300) - NUM_FRAMES) / 3) for part in range(4)})
        wanted += [(path, list(range(start, start + NUM_FRAMES))) for start in starts if start + NUM_FRAMES <= count]
    return wanted


def fill(folder: Path, wanted: list[tuple[Path, list[int]]], size: tuple[int, int]) -> ClipStore:
    pts = torch.arange(NUM_FRAMES, dtype=torch.float64)
    writer = ClipStoreWriter(folder, num_frames=NUM_FRAMES, size=size)
    pairs = [
        (ClipItem(str(i), str(i), None, None, str(i), None, tuple(pts.tolist())), Clip(decode(*clip, size), pts))
        for i, clip in enumerate(wanted)
    ]
    shards = [pairs[start : start + 16] for start in range(0, len(pairs), 16)]
    for number, shard in enumerate(shards):
        writer.write_shard(number, shard)
    writer.finish(len(shards))
    return ClipStore(folder)


def decode(path: Path, indices: list[int], size: tuple[int, int]) -> Tensor:
    """A clip by way of this package."""
    with open_video(path) as video:
        return video.frames(indices, size=size)


def decode_with_pyav(path: Path, indices: list[int], size: tuple[int, int]) -> Tensor:
    """A clip by way of PyAV alone, in order from the start of the file."""
    frames = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= indices[0]:
                frames.append(frame.to_ndarray(format="rgb24", width=size[1], height=size[0]))
            if number == indices[-1]:
                break
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


if __name__ == "__main__":
    main()
