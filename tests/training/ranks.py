"""Functions run on several processes, started as torchrun starts them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

import torch


def on_ranks(count: int, function: Callable[..., None], *arguments: Any, **settings: Any) -> None:
    """Calls a function on each of several processes; all must end well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        multiprocessing.get_context("fork").Process(
            target=_on_rank, args=(rank, count, port, function, arguments, settings)
        )
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def _on_rank(rank: int, count: int, port: int, function: Callable[..., None], arguments: Any, settings: Any) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    function(*arguments, **settings)
