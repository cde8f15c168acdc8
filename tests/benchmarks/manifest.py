"""Building and checking a manifest of 100,000 files, beside reading and writing the same JSON Lines with orjson alone.

    python tests/benchmarks/manifest.py [--rows 100000]

Each step runs in a process of its own, so that its peak memory is its own; the fastest of three runs counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

REPEATS = 3
STEPS = ("orjson", "build", "check", "read", "write")


def make_files(folder: Path, count: int) -> None:
    """Empty files, a thousand a folder."""
    for number in range(count):
        if number % 1000 == 0:
            (folder / f"{number // 1000:04}").mkdir(parents=True)
        (folder / f"{number // 1000:04}" / f"clip_{number:06}.mp4").touch()


def complete(manifest: Path) -> None:
    """Gives every row what a probed and labelled manifest holds."""
    rows = [orjson.loads(line) for line in manifest.read_bytes().splitlines()]
    with manifest.open("wb") as file:
        for number, row in enumerate(rows):
            row |= {
                "caption": f"a person does thing number {number}",
                "label": f"class {number % 100}",
                "split": "test" if number % 5 == 0 else "train",
                "group": f"source {number}",
                "start": 1.0,
                "end": 2.0,
                "duration_seconds": 2.5 + number / 1e5,
                "fps": 25.0,
                "num_frames": 62,
                "width": 320,
                "height": 240,
                "sample_rate": 44100,
                "num_channels": 2,
                "streams": ["video:h264", "audio:aac"],
            }
            file.write(orjson.dumps(row) + b"\n")


def run(step: str, folder: Path) -> None:
    """One step; prints its seconds and its peak memory."""
    from mmssl.data.building import build_manifest
    from mmssl.data.checking import check_manifest
    from mmssl.data.manifest import read_manifest, write_manifest

    manifest = folder / "manifest.jsonl"
    rows = read_manifest(manifest).rows if step == "write" else ()
    begin = time.perf_counter()
    if step == "orjson":
        with manifest.open("rb") as file:
            values = [orjson.loads(line) for line in file]
        with (folder / "copy.jsonl").open("wb") as copy:
            for value in values:
                copy.write(orjson.dumps(value) + b"\n")
    elif step == "build":
        build_manifest(folder / "media", folder / "built.jsonl", probe=False)
    elif step == "check":
        assert check_manifest(manifest) == []
    elif step == "read":
        read_manifest(manifest)
    elif step == "write":
        write_manifest(folder / "copy.jsonl", rows)
    seconds = time.perf_counter() - begin
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measured(step: str, folder: Path) -> tuple[float, float]:
    """Seconds of the fastest run of a step, and the largest peak memory in MiB."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(REPEATS)
    ]
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        run(given.step, given.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_files(folder / "media", given.rows)
        run_build = measured("build", folder)
        (folder / "built.jsonl").replace(folder / "manifest.jsonl")
        manifest = folder / "manifest.jsonl"
        text = manifest.read_bytes()
        bare = measured("orjson", folder)
        complete(manifest)
        full = measured("orjson", folder)
        print(
            f"{given.rows} rows, {len(text) / 1e6:.1f} MB as built, {manifest.stat().st_size / 1e6:.1f} MB with all columns"
        )
        print(f"{'step':32} {'seconds':>8} {'of orjson':>9} {'peak MiB':>9}")
        print(f"{'orjson, read and write, as built':32} {bare[0]:8.2f} {1:9.1f} {bare[1]:9.0f}")
        print(f"{'build without probing':32} {run_build[0]:8.2f} {run_build[0] / bare[0]:9.1f} {run_build[1]:9.0f}")
        print(f"{'orjson, read and write, complete':32} {full[0]:8.2f} {1:9.1f} {full[1]:9.0f}")
        for step in ("check", "read", "write"):
            seconds, peak = measured(step, folder)
            print(f"{step:32} {seconds:8.2f} {seconds / full[0]:9.1f} {peak:9.0f}")


if __name__ == "__main__":
    main()
