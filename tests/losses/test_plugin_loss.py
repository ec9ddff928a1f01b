"""Losses of plug-ins: a function and a class with parameters, and the refusals."""

import dataclasses
from pathlib import Path

import pytest
import torch

from kshot.errors import ParamsError
from kshot.losses.objective import LossSettings, Objective
from kshot.losses.terms import Terms
from tests.lifecycle.raw_project import settings
from tests.plugin_distribution import install

LOSSES = """
import torch
from torch import nn
from kshot.losses.terms import Terms

def weighted(points, labels, *, scale: float = 2.0, power: int = 2):
    return scale * points.pow(power).sum()

def with_share(points, labels):
    return Terms(points.sum(), torch.tensor(0.25))

def unsummed(points, labels):
    return points

class Proxies(nn.Module):
    def __init__(self, n_classes, dim, *, scale: float = 1.0):
        super().__init__()
        if scale > 9:
            raise ValueError("scale is too large")
        self.scale, self.proxies = scale, nn.Parameter(torch.randn(n_classes, dim))

    def forward(self, points, labels):
        return self.scale * (points - self.proxies[labels]).square().sum()

class NoModule:
    def __init__(self, n_classes, dim): ...
    def __call__(self, points, labels): ...
"""
NAMES = ("weighted", "with_share", "unsummed", "Proxies", "NoModule")
POINTS, LABELS = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0, 2])


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    entries = {"losses": {name: f"extra.losses:{name}" for name in NAMES}}
    place = install(tmp_path, {"extra/__init__.py": "", "extra/losses.py": LOSSES}, entries)
    monkeypatch.syspath_prepend(str(place))


def objective(loss: str, **arguments: float) -> Objective:
    chosen = dataclasses.replace(settings().train.loss, name=loss, arguments=arguments)
    return Objective(LossSettings(chosen, images=1, k_shot=1), n_classes=4, dim=2, seed=3)


def terms(made: Objective) -> Terms:
    found: Terms = made(POINTS, LABELS, torch.Generator())
    return found


def test_a_function_gets_its_arguments_whole_where_the_default_is() -> None:
    assert terms(objective("weighted")).loss.item() == 2 * (1 + 4 + 9)
    found = terms(objective("weighted", scale=0.5, power=3.0))
    assert found.loss.item() == 0.5 * (1 + 8 + 27) and found.active is None
    assert list(objective("weighted").parameters()) == []


def test_a_loss_may_say_which_share_still_pushes() -> None:
    assert terms(objective("with_share")) == Terms(torch.tensor(6.0), torch.tensor(0.25))


def test_what_a_class_learns_follows_from_the_seed_and_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    first, second = objective("Proxies"), objective("Proxies", scale=2)
    assert torch.equal(torch.rand(1), wanted)
    (proxies,), (same,) = first.parameters(), second.parameters()
    assert proxies.shape == (4, 2) and torch.equal(proxies, same)
    by_hand = (POINTS - proxies[LABELS]).square().sum().item()
    assert terms(first).loss.item() == pytest.approx(by_hand)
    assert terms(second).loss.item() == pytest.approx(2 * by_hand)


def test_an_argument_that_its_class_refuses_and_a_class_that_is_no_module_are_named() -> None:
    with pytest.raises(ParamsError, match="train.loss.arguments: Proxies: scale is too large"):
        objective("Proxies", scale=10)
    with pytest.raises(ParamsError, match="loss NoModule of kshot-extra 1.2.0 .* is no torch.nn.Module"):
        objective("NoModule")


def test_a_loss_that_is_no_scalar_is_named() -> None:
    with pytest.raises(ParamsError, match=r"loss unsummed of .* returned a tensor of shape \(2, 2\); needs a scalar"):
        terms(objective("unsummed"))
