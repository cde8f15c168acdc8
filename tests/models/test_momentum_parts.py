"""The parts that methods with a momentum encoder share: teacher, queue, BatchNorm in groups."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from mmssl.models.grouped_batchnorm import GroupedBatchNorm, group_batchnorm
from mmssl.models.queue import KeyQueue
from mmssl.models.teacher import Teacher


def test_a_teacher_is_a_copy_that_follows_slowly_with_buffers_of_its_own() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher = Teacher(network)
    assert all(torch.equal(value, teacher.network.state_dict()[key]) for key, value in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    start = {name: value.clone() for name, value in teacher.network.named_parameters()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    assert not teacher(torch.randn(8, 3)).requires_grad
    own_mean = teacher.network[1].running_mean.clone()
    assert own_mean.abs().max() > 0
    teacher.follow(network, momentum=0.75)
    for name, value in teacher.network.named_parameters():
        assert_close(value.detach(), start[name] + 0.25)
    assert torch.equal(teacher.network[1].running_mean, own_mean)


@pytest.mark.parametrize("batch", [1, 3, 7, 10, 25])
def test_a_queue_holds_the_latest_keys_in_a_ring(batch: int) -> None:
    queue, ring, place = KeyQueue(10, 4), {}, 0
    ring = dict(enumerate(queue.keys.clone()))
    for _ in range(4):
        keys = torch.randn(batch, 4)
        queue.enqueue(keys)
        for key in keys:
            ring[place % 10] = key / key.norm()
            place += 1
        assert_close(queue.keys, torch.stack([ring[i] for i in range(10)]))
        assert queue.position == place % 10
    assert_close(queue.keys.norm(dim=1), torch.ones(10))
    with pytest.raises(ValueError, match="at least 1"):
        KeyQueue(0, 4)


@pytest.mark.parametrize("interleaved", [False, True])
def test_groups_are_normalized_one_by_one(interleaved: bool) -> None:
    images = torch.randn(12, 3, 4, 5)
    plain = nn.BatchNorm2d(3)
    nn.init.normal_(plain.weight)
    network = nn.Sequential(plain)
    group_batchnorm(network, 4, interleaved=interleaved)
    out = network(images)
    for group in range(4):
        rows = torch.arange(group, 12, 4) if interleaved else torch.arange(3 * group, 3 * group + 3)
        wanted = functional.batch_norm(images[rows], None, None, plain.weight, plain.bias, training=True)
        assert_close(out[rows], wanted)
    assert_close(plain.running_mean, 0.1 * images.mean((0, 2, 3)))
    assert plain.num_batches_tracked == 1
    network.eval()
    assert_close(network(images), plain.eval()(images))


def test_grouping_keeps_names_and_tensors_and_takes_any_number_of_rows() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)), nn.Flatten(), nn.BatchNorm1d(4))
    before = dict(network.state_dict(keep_vars=True))
    group_batchnorm(network, 1, interleaved=False)
    assert type(network[3]) is nn.BatchNorm1d
    group_batchnorm(network, 8, interleaved=True)
    assert isinstance(network[1][0], GroupedBatchNorm)
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert network(torch.randn(6, 3, 1, 1)).shape == (6, 4)
    with pytest.raises(ValueError, match="at least 1 group"):
        group_batchnorm(network, 0, interleaved=True)


def test_partners_of_one_group_are_apart_in_the_other_network() -> None:
    rows, groups = torch.arange(32), 8
    neighbours, interleaved = rows // 4, rows % 8
    for group in range(groups):
        assert len(set(interleaved[neighbours == group].tolist())) == 4
