"""Times `propagate` against the full affinity matrix and against its own matrix products alone.

    python tests/benchmarks/propagation.py [--rounds 5] [--large] [--mast]

Prints one JSON object a line: medians of interleaved rounds in seconds, extra memory of a fresh process in MiB, the largest
difference. `--large` adds 21 context frames, and 1080p, where the full matrix would take 125 GB. `--mast` times the
rule of the preset `mast` alone instead: a frame of 480 x 832 pixels at stride 4, 96 channels, near the labeled frame and
far from it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mmssl.functional.affinity import Window, normalize_features, propagate, propagate_normalized
from mmssl.functional.affinity_by_tiles import BAND_CELLS, TILE_CELLS, split
from mmssl.functional.affinity_dilated import propagate_dilated

DIM, RADIUS, TOP_K, TEMPERATURE, CHANNELS = 384, 12, 5, 0.1, 2
SIZE = (60, 104)
CONTEXT = 8


def problem(context: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(DIM, *size, generator=generator),
        torch.randn(context, DIM, *size, generator=generator),
        torch.rand(context, CHANNELS, *size, generator=generator),
    )


def neighborhood(size: tuple[int, int]) -> Tensor:
    """1 where a cell may copy from another, [cells, cells]."""
    rows, columns = (torch.arange(length) for length in size)
    near_rows = (rows[:, None] - rows[None]).abs() <= RADIUS
    near_columns = (columns[:, None] - columns[None]).abs() <= RADIUS
    cells = size[0] * size[1]
    return (near_rows[:, None, :, None] & near_columns[None, :, None, :]).reshape(cells, cells).float()


def full_matrix(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Every cell against every context cell: product, exp, mask, top-k, normalization, product."""
    context = len(keys)
    sources = functional.normalize(keys.flatten(2), dim=1)
    target = functional.normalize(query.flatten(1), dim=0).expand(context, -1, -1)
    weights = torch.exp(torch.bmm(sources.transpose(1, 2), target) / TEMPERATURE)
    weights *= mask
    weights = weights.flatten(0, 1)
    lowest = weights.topk(TOP_K, dim=0).values[-1]
    weights[weights < lowest] = 0
    weights /= weights.sum(dim=0)
    return (values.transpose(0, 1).flatten(1) @ weights).reshape(values.shape[1], *query.shape[1:])


def ours(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return propagate(query, keys, values, radius=RADIUS, top_k=TOP_K, temperature=TEMPERATURE)


def products(context: int, size: tuple[int, int]) -> tuple[Callable[[], None], float]:
    """The matrix products of `propagate` alone, on operands that lie ready, and their floating point operations."""
    shapes = []
    for left, right in split(size[1], TILE_CELLS):
        for top, bottom in split(size[0], BAND_CELLS):
            for first, last in split(bottom - top, TILE_CELLS):
                rows = min(size[0], top + last + RADIUS) - max(0, top + first - RADIUS)
                columns = min(size[1], right + RADIUS) - max(0, left - RADIUS)
                shapes += [((last - first) * (right - left), rows * columns)] * context
    cells = torch.randn(max(cells for cells, _ in shapes), DIM)
    window = torch.randn(max(window for _, window in shapes), DIM)

    def multiply(part: Sequence[tuple[int, int]]) -> None:
        for rows, columns in part:
            torch.mm(cells[:rows], window[:columns].T)

    def run() -> None:
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(multiply, [shapes[start::threads] for start in range(threads)]))
        torch.set_num_threads(threads)

    return run, sum(2.0 * DIM * rows * columns for rows, columns in shapes)


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median wall time of each call; one of each in turn, after one of each that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: round(statistics.median(times), 4) for name, times in seconds.items()}


def extra_mib(name: str) -> float:
    """Peak memory that one call adds, in a process of its own."""
    text = subprocess.run(
        [sys.executable, __file__, "--memory", name], check=True, capture_output=True, text=True
    ).stdout
    return float(text)


def peak_mib() -> float:
    """Peak memory of this process; `getrusage` would count its parent's from before it started."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure_memory(name: str) -> None:
    query, keys, values = problem(CONTEXT, SIZE)
    mask = neighborhood(SIZE)
    propagate(query[:, :9, :9], keys[:, :, :9, :9], values[:, :, :9, :9], radius=1, top_k=5, temperature=0.1)
    torch.mm(query.flatten(1).T[:64], query.flatten(1))
    before = peak_mib()
    if name == "ours":
        ours(query, keys, values)
    else:
        full_matrix(query, keys, values, mask)
    print(peak_mib() - before)


def compare(rounds: int) -> None:
    memory = {name: round(extra_mib(name), 1) for name in ("full_matrix", "ours")}
    query, keys, values = problem(CONTEXT, SIZE)
    mask = neighborhood(SIZE)
    run_products, operations = products(CONTEXT, SIZE)
    ready = normalize_features(query[None])[0], list(normalize_features(keys)), list(values)
    options = {"windows": [Window(RADIUS)] * CONTEXT, "top_k": TOP_K, "temperature": TEMPERATURE}
    seconds = medians(
        {
            "full_matrix": lambda: full_matrix(query, keys, values, mask),
            "propagate": lambda: ours(query, keys, values),
            "propagate_normalized": lambda: propagate_normalized(*ready, **options),  # type: ignore[arg-type]
            "products": run_products,
        },
        rounds,
    )
    difference = float((full_matrix(query, keys, values, mask) - ours(query, keys, values)).abs().max())
    report = {
        "cells": SIZE,
        "context": CONTEXT,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "times_faster": round(seconds["full_matrix"] / seconds["propagate"], 1),
        "times_faster_normalized": round(seconds["full_matrix"] / seconds["propagate_normalized"], 1),
        "over_products": round(seconds["propagate"] / seconds["products"], 2),
        "gflop": round(operations / 1e9, 1),
        "extra_mib": memory,
        "memory_share": round(memory["ours"] / memory["full_matrix"], 3),
        "largest_difference": difference,
    }
    print(json.dumps(report), flush=True)


def alone(context: int, size: tuple[int, int], rounds: int) -> None:
    query, keys, values = problem(context, size)
    run_products, operations = products(context, size)
    seconds = medians({"propagate": lambda: ours(query, keys, values), "products": run_products}, rounds)
    facts = {"cells": size, "context": context, "seconds": seconds, "gflop": round(operations / 1e9, 1)}
    print(json.dumps({**facts, "over_products": round(seconds["propagate"] / seconds["products"], 2)}), flush=True)


def mast(rounds: int) -> None:
    generator = torch.Generator().manual_seed(0)
    size, dim = (120, 208), 96
    query, *keys = (torch.randn(dim, *size, generator=generator) / dim**0.5 for _ in range(6))
    values = [torch.rand(CHANNELS, *size, generator=generator) for _ in keys]
    for name, far in (("near", 1), ("far", 4)):
        options = {"dilations": (far, far, 1, 1, 1), "radius": RADIUS, "temperature": 1.0}
        run = partial(propagate_dilated, query, keys, values, **options)  # type: ignore[arg-type]
        print(json.dumps({"cells": size, "labeled_frame": name, "seconds": medians({"mast": run}, rounds)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also 21 context frames and 1080p")
    parser.add_argument("--mast", action="store_true", help="the rule of the preset `mast` instead")
    parser.add_argument("--memory", choices=("ours", "full_matrix"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.memory)
        return
    if arguments.mast:
        mast(arguments.rounds)
        return
    compare(arguments.rounds)
    if arguments.large:
        alone(21, SIZE, arguments.rounds)
        alone(CONTEXT, (135, 240), max(1, arguments.rounds // 2))


if __name__ == "__main__":
    main()
