"""Backbones of plug-ins: one that fits, and refusals before training starts."""

from pathlib import Path

import pytest
import torch

from kshot.errors import ParamsError
from kshot.nets.backbones.backbone import Start, create_backbone, input_of
from tests.plugin_distribution import install

NETS = """
from torch import nn

def fits(channels, size):
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 8), nn.BatchNorm1d(8))
    network.num_features = 8
    return network

def too_wide(channels, size):
    network = fits(channels, size)
    network.num_features = 9
    return network

def no_width(channels, size):
    return nn.Flatten()

def only_larger(channels, size):
    network = fits(channels, size + 1)
    network.num_features = 8
    return network
"""
NAMES = ("fits", "too_wide", "no_width", "only_larger")


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> None:
    entries = {"backbones": {**{name: f"extra.nets:{name}" for name in NAMES}, "resnet18": "extra.nets:fits"}}
    place = install(tmp_path, {"extra/__init__.py": "", "extra/nets.py": NETS}, entries)
    monkeypatch.syspath_prepend(str(place))


def test_it_is_made_for_the_images_and_trains() -> None:
    network = create_backbone("fits", channels=3, size=4)
    assert network.training and network.notes == []
    assert torch.equal(network.state_dict()["2.running_mean"], torch.zeros(8)), "trying it out changed nothing"
    assert network(torch.zeros(2, 3, 4, 4)).shape == (2, 8)
    assert input_of("fits", packed=28, wanted=None, trained=True).size == 28


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("too_wide", r"makes \(2, 8\) of 2 images, its num_features are 9"),
        ("no_width", "returned Flatten with num_features None; needs a torch.nn.Module"),
        ("only_larger", "cannot take images of 4 x 4 pixels: "),
        ("resnet18", "has the name of one of timm's models; rename or uninstall it"),
    ],
)
def test_one_that_does_not_fit_is_named(name: str, what: str) -> None:
    with pytest.raises(ParamsError, match=f"the backbone {name} of kshot-extra 1.2.0 .*{what}"):
        create_backbone(name, channels=3, size=4)


def test_it_has_no_published_weights_and_no_stages() -> None:
    with pytest.raises(ParamsError, match="fits has no published weights"):
        create_backbone("fits", channels=3, size=4, start=Start(pretrained=True))
    with pytest.raises(ParamsError, match="fits has no named stages"):
        create_backbone("fits", channels=3, size=4, features=["a"])
