import pytest
import torch
import torch.distributed as dist
from torch import nn

from kshot.parallel.batch_norm import GlobalNorm
from kshot.parallel.share import ALONE, Share, World
from kshot.parallel.whole_batch import as_one_batch


@pytest.fixture
def group_of_one(tmp_path):
    """A group of one process: the sums over all processes are those of this one."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def filled(norm):
    torch.manual_seed(0)
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return norm.double()


def norm_with_activation():
    from timm.layers import BatchNormAct2d  # here, because timm takes 2 s of each process that collects the tests

    return BatchNormAct2d(3)


NORMS = {
    "2d": lambda: nn.BatchNorm2d(3),
    "1d": lambda: nn.BatchNorm1d(3),
    "momentum null": lambda: nn.BatchNorm2d(3, momentum=None),
    "no scale": lambda: nn.BatchNorm2d(3, affine=False, eps=0.1),
    "no running statistics": lambda: nn.BatchNorm2d(3, track_running_stats=False),
    "with activation": norm_with_activation,
}


@pytest.mark.parametrize("kind", NORMS)
def test_it_is_torchs_batch_norm_in_training_and_in_evaluation(group_of_one, kind):
    one, other = filled(NORMS[kind]()), GlobalNorm(filled(NORMS[kind]()), Share(ALONE, 5))
    for steps in range(3):
        torch.manual_seed(steps)
        maps = torch.randn(5, 3, *((4, 2) if kind != "1d" else ()), dtype=torch.float64) + 7
        slope, found = torch.randn_like(maps), []
        for norm in (one, other):
            rows = maps.clone().requires_grad_()
            norm.zero_grad()
            (norm(rows) * slope).sum().backward()
            found.append([norm(maps), rows.grad, *(parameter.grad for parameter in norm.parameters())])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-12, atol=1e-12)
    one.eval(), other.eval()
    torch.testing.assert_close(other(maps), one(maps), rtol=1e-10, atol=1e-10)


def test_large_means_lose_no_variance(group_of_one):
    maps = torch.randn(64, 3, 4, 4) + 1e4
    found = GlobalNorm(nn.BatchNorm2d(3), Share(ALONE, 64))(maps)
    torch.testing.assert_close(found.var((0, 2, 3), correction=0), torch.ones(3), rtol=1e-3, atol=0)


def test_replacing_layers_leaves_names_and_content_of_the_state():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(), nn.Sequential(norm_with_activation()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kinds = [type(layer) for layer in network]
    assert [type(layer) for layer in as_one_batch(network, Share(ALONE, 4))] == kinds
    shared = as_one_batch(network, Share(World(0, 2), 4))
    assert [type(layer) for layer in shared] != kinds
    assert list(shared.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in shared.state_dict().items())
