import copy

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.functional.micro_batches import in_micro_batches


def compared(net: nn.Module, rows: Tensor, size: int | None) -> tuple[Tensor, list[Tensor]]:
    """A loss that compares all rows, and its gradients."""
    torch.manual_seed(5)
    net.zero_grad()
    out = in_micro_batches(net, rows, size=size, module=net)
    loss = (out @ out.T).logsumexp(1).mean()
    loss.backward()
    return loss.detach(), [part.grad.clone() for part in net.parameters() if part.grad is not None]


def test_gradients_are_those_of_the_whole_batch() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 4))
    rows = torch.randn(10, 6)
    loss, wanted = compared(net, rows, None)
    for size in (1, 3, 10, 99):
        found_loss, found = compared(net, rows, size)
        assert_close(found_loss, loss)
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_dropout_is_the_same_on_the_way_back() -> None:
    net = nn.Sequential(nn.Linear(6, 64), nn.Dropout(0.5), nn.Linear(64, 4))
    rows = torch.randn(8, 6)
    torch.manual_seed(1)
    kept = in_micro_batches(net, rows, size=4, module=net)
    torch.manual_seed(1)
    plain = torch.cat([net(part) for part in torch.split(rows, 4)])
    assert torch.equal(kept, plain)
    gradients = [torch.autograd.grad(out.square().sum(), list(net.parameters())) for out in (kept, plain)]
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other)


def test_running_statistics_move_once_for_each_part() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    rows = torch.randn(12, 3)
    other = copy.deepcopy(net)
    in_micro_batches(net, rows, size=4, module=net).square().sum().backward()
    for part in torch.split(rows, 4):
        other(part).square().sum().backward()
    for found, wanted in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert_close(found, wanted)
    for found, wanted in zip(net.parameters(), other.parameters(), strict=True):
        assert_close(found.grad, wanted.grad)
    assert net[1].momentum == 0.1


def test_what_is_kept_does_not_grow_with_the_number_of_parts() -> None:
    def kept(count: int) -> int:
        net = nn.Sequential(nn.Linear(4, 512), nn.GELU(), nn.Linear(512, 2))
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            in_micro_batches(net, torch.randn(count, 4), size=8, module=net)
        return total

    assert kept(80) - kept(40) <= 40 * 4, "nothing but the rows themselves"
