from pathlib import Path

import torch
from torch import distributed, multiprocessing
from torch.testing import assert_close

from mmssl.functional.gather import gather_with_gradient, rank_offset, world_size


def rows_of(rank: int) -> torch.Tensor:
    return torch.arange(4.0).reshape(2, 2) + 10 * rank


def gather_on_rank(rank: int, ranks: int, folder: str) -> None:
    store = distributed.FileStore(f"{folder}/store", ranks)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    rows = rows_of(rank).requires_grad_()
    gathered = gather_with_gradient(rows)
    weights = torch.arange(gathered.numel()).reshape(gathered.shape) * (rank + 1.0)
    (gathered * weights).sum().backward()
    torch.save([gathered.detach(), rows.grad, rank_offset(2), world_size()], f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_alone_it_is_the_identity() -> None:
    rows = torch.randn(3, 2)
    assert gather_with_gradient(rows) is rows
    assert (rank_offset(3), world_size()) == (0, 1)


def test_rows_come_in_order_of_rank_and_gradients_add_up(tmp_path: Path) -> None:
    multiprocessing.start_processes(gather_on_rank, args=(2, str(tmp_path)), nprocs=2, start_method="fork")
    weights = torch.arange(8.0).reshape(4, 2)
    for rank in range(2):
        gathered, gradient, offset, ranks = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_close(gathered, torch.cat((rows_of(0), rows_of(1))))
        assert_close(gradient, 3 * weights[2 * rank : 2 * rank + 2])
        assert (offset, ranks) == (2 * rank, 2)
