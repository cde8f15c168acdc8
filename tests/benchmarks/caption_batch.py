"""Memory of one CLIP step by the size of the batch, with the towers in micro-batches and without.

    python -m tests.benchmarks.caption_batch

Each step runs in a process of its own: ResNet-18 on pictures of 48 x 48 and the small text transformer, gradients included.
Printed is the peak of the process's memory over what it held before the step, without the pictures themselves.
"""

import argparse
import resource
import subprocess
import sys

import torch

from mmssl.config import build
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives import OBJECTIVE_CHOICE

SIDE = 48
CASES = ((128, 64), (1024, 64), (1024, None))


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(batch_size: int, micro_batch: int | None) -> float:
    """MiB that a step adds."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = {"name": "image_text", "image": {"name": "resnet18", "stride": 32}, "text": "transformer", "size": SIDE}
    encoder = build(spec, ENCODER_CHOICE)
    objective = build({"name": "clip", "micro_batch": micro_batch}, OBJECTIVE_CHOICE, encoder=encoder).train()
    tokens = objective.tokenize([f"a picture of number {number}" for number in range(batch_size)])
    batch = {"image": torch.rand(batch_size, 3, SIDE, SIDE), "tokens": tokens, "caption": torch.arange(batch_size)}
    before = peak()
    objective(batch)["loss"].backward()
    return peak() - before


def main() -> None:
    """Prints a line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case is not None:
        print(f"{step(*CASES[given.case]):.0f}")
        return
    for number, (batch_size, micro_batch) in enumerate(CASES):
        command = [sys.executable, "-m", "tests.benchmarks.caption_batch", "--case", str(number)]
        added = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(
            f"batch {batch_size}, {f'micro-batches of {micro_batch}' if micro_batch else 'whole'}: {added} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
