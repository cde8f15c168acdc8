"""Decoding beside raw PyAV and raw decord on the same clips: `python -m tests.benchmarks.decode --videos FOLDER`.

Every reader delivers RGB tensors. Readers take turns within each repeat, and the median over the repeats counts. A reader
whose frames are not the presented ones is shown in brackets and is not compared with.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import av
import torch
from torch import Tensor

from mmssl.media.video import open_video

NUM_SAMPLED = 16


def ours_in_order(path: Path, backend: str) -> int:
    with open_video(path, backend=backend) as video:
        return sum(1 for _ in video.iterate())


def pyav_in_order(path: Path, threads: int) -> int:
    count = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        container.streams.video[0].codec_context.thread_count = threads
        for frame in container.decode(video=0):
            torch.from_numpy(frame.to_ndarray(format="rgb24", threads=threads))
            count += 1
    return count


def decord_in_order(path: Path, threads: int) -> int:
    import decord

    reader = decord.VideoReader(str(path), num_threads=threads)
    for index in range(len(reader)):
        torch.from_numpy(reader[index].asnumpy())
    return len(reader)


def sampled(count: int) -> list[int]:
    return [int((place + 0.5) * count / NUM_SAMPLED) for place in range(NUM_SAMPLED)]


def ours_sampled(path: Path, backend: str) -> Tensor:
    with open_video(path, backend=backend) as video:
        return video.frames(sampled(video.num_frames))


def pyav_sampled(path: Path, count: int) -> Tensor:
    """By seeking to each moment, as a user of PyAV writes it, for files with exact times."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [packet.pts for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard]
        for stamp in [sorted(times)[index] for index in sampled(count)]:
            container.seek(stamp, stream=stream)
            for frame in container.decode(stream):
                if frame.pts >= stamp:
                    frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
                    break
    return torch.stack(frames).permute(0, 3, 1, 2)


def decord_sampled(path: Path, count: int, threads: int) -> Tensor:
    import decord

    reader = decord.VideoReader(str(path), num_threads=threads)
    return torch.from_numpy(reader.get_batch(sampled(count)).asnumpy()).permute(0, 3, 1, 2)


def timed(readers: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each reader; one that fails is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(repeats):
        for name, read in readers.items():
            began = clock()
            try:
                read()
            except Exception:
                seconds[name].append(float("inf"))
            else:
                seconds[name].append(clock() - began)
    return {name: median(values) for name, values in seconds.items()}


def is_close(frames: object, exact: Tensor) -> bool:
    """Whether two decoders show the same pictures; they may round colors differently."""
    return (
        isinstance(frames, Tensor)
        and frames.shape == exact.shape
        and bool((frames.to(torch.float32) - exact.to(torch.float32)).abs().mean((1, 2, 3)).max() < 4)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=Path, required=True, help="folder of clips")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of every reader")
    parser.add_argument("--processor-time", action="store_true", help="for a machine that others use too")
    parser.add_argument("--backend", default="auto", help="backend of open_video")
    parser.add_argument("--match", default="*", help="which files of the folder")
    options = parser.parse_args()
    threads = options.threads
    torch.set_num_threads(threads)
    clock = time.process_time if options.processor_time else time.perf_counter
    print(f"{threads} threads; frames/s in order, sampled frames/s; ratio = ours / best exact other")
    print(
        f"{'clip':42} {'ours':>7} {'PyAV':>7} {'decord':>8} {'ratio':>6} | {'ours':>7} {'PyAV':>7} {'decord':>8} {'ratio':>6}"
    )
    ratios: list[list[float]] = [[], []]
    for path in sorted(options.videos.glob(options.match)):
        with open_video(path) as video:
            count = video.num_frames
            exact = video.frames(sampled(count))
        line = f"{path.name[:42]:42}"
        kinds: list[tuple[int, dict[str, Callable[[], object]]]] = [
            (
                count,
                {
                    "ours": lambda path=path: ours_in_order(path, options.backend),
                    "PyAV": lambda path=path: pyav_in_order(path, threads),
                    "decord": lambda path=path: decord_in_order(path, threads),
                },
            ),
            (
                NUM_SAMPLED,
                {
                    "ours": lambda path=path: ours_sampled(path, options.backend),
                    "PyAV": lambda path=path, count=count: pyav_sampled(path, count),
                    "decord": lambda path=path, count=count: decord_sampled(path, count, threads),
                },
            ),
        ]
        is_exact = {"PyAV": False, "decord": False}
        for name in is_exact:
            with suppress(Exception):
                is_exact[name] = is_close(kinds[1][1][name](), exact)
        for place, (units, readers) in enumerate(kinds):
            seconds = timed(readers, options.repeats, clock)
            others = [seconds["PyAV"]] if place == 0 or is_exact["PyAV"] else []
            others += [seconds["decord"]] if is_exact["decord"] else []
            ratio = min(others) / seconds["ours"] if others else float("nan")
            if others:
                ratios[place].append(ratio)
            decord_rate = f"{units / seconds['decord']:.0f}"
            pyav_rate = f"{units / seconds['PyAV']:.0f}"
            line += f"{units / seconds['ours']:>8.0f} "
            line += f"{pyav_rate if place == 0 or is_exact['PyAV'] else f'({pyav_rate})':>7} "
            line += f"{decord_rate if is_exact['decord'] else f'({decord_rate})':>8} {ratio:>6.2f} "
            line += "|" if place == 0 else ""
        print(line, flush=True)
    print(
        f"median ratio: in order {median(ratios[0]):.2f}, sampled {median(ratios[1]):.2f}; "
        f"smallest: in order {min(ratios[0]):.2f}, sampled {min(ratios[1]):.2f}"
    )


if __name__ == "__main__":
    main()
