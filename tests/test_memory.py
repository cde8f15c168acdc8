"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

from mmssl.memory import keep_freed_memory

SCRIPT = """
import resource, sys, torch
from mmssl.memory import keep_freed_memory
torch.set_num_threads(1)
def faults():
    began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began
print(min(faults() for _ in range(8)))
assert keep_freed_memory()
print(min(faults() for _ in range(8)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of the GNU C library")
def test_a_tensor_takes_the_place_of_one_of_its_size_without_fetching_pages() -> None:
    if not keep_freed_memory():
        pytest.skip("not the GNU C library")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 10 * max(after, 1)
