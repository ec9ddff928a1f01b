import subprocess
import sys

import torch

from kshot.training.adamw import AdamW


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((4, 3), (5,), (3,), (2, 3, 3, 2))]


def groups(values):
    """The first decays, the third gets no gradient; the last is as a convolution's in memory."""
    values[3].data = values[3].data.to(memory_format=torch.channels_last)
    return [
        {"params": values[:1], "lr": 0.1, "weight_decay": 0.05},
        {"params": values[1:], "lr": 0.01, "weight_decay": 0},
    ]


def steps(optimizer, settings, values, count):
    for _ in range(count):
        for group in settings:
            group["lr"] *= 0.9
        optimizer.zero_grad()
        sum((value**2).sum() for place, value in enumerate(values) if place != 2).backward()
        optimizer.step()


def test_steps_are_those_of_torch_bit_for_bit():
    ours, theirs = parameters(), parameters()
    own, optimizer = AdamW(groups(ours)), torch.optim.AdamW(groups(theirs))
    steps(own, own.groups, ours, 20)
    steps(optimizer, optimizer.param_groups, theirs, 20)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert torch.equal(ours[2], parameters()[2]) and not torch.equal(ours[0], parameters()[0])


def test_restored_moments_go_on_as_if_nothing_had_happened():
    whole = parameters()
    optimizer = AdamW(groups(whole))
    steps(optimizer, [], whole, 3)
    copies = [value.detach().clone().requires_grad_() for value in whole]
    resumed = AdamW(groups(copies))
    resumed.restore(optimizer.tensors())
    assert {key.partition("/")[0] for key in resumed.tensors()} == {"0", "1", "3"}
    steps(optimizer, [], whole, 3)
    steps(resumed, [], copies, 3)
    assert all(torch.equal(one, other) for one, other in zip(whole, copies, strict=True))


def test_no_parameters_are_no_trouble():
    optimizer = AdamW([])
    optimizer.zero_grad()
    optimizer.step()
    assert optimizer.tensors() == {}


def test_training_does_not_import_the_compiler():
    """It takes 1.5 s at the start of each training."""
    lines = [
        "import sys, torch",
        "from kshot.training.adamw import AdamW",
        "from kshot.training.random_state import make_deterministic",
        "make_deterministic(0)",
        "value = torch.ones(2, requires_grad=True)",
        "optimizer = AdamW([{'params': [value], 'lr': 0.1, 'weight_decay': 0.0}])",
        "value.sum().backward()",
        "optimizer.step()",
        "assert torch.are_deterministic_algorithms_enabled() and value[0] < 1",
        "assert not [name for name in sys.modules if name.startswith(('torch._dynamo', 'torch._inductor'))]",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
