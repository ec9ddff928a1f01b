import pytest
import torch

from kshot.augment import random_affine
from kshot.train_params import Augment

NONE = Augment(degrees=0.0, translate=0.0, scale=0.0, shear=0.0)


def pixels():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 1, 28, 28, generator=generator) * 255


def test_nothing_asked_changes_nothing():
    x = pixels()
    assert random_affine(x, NONE, torch.Generator()) is x


@pytest.mark.parametrize("knob", ["degrees", "translate", "scale", "shear"])
def test_each_knob_changes_every_image_and_keeps_the_range(knob):
    settings = Augment(**{**vars(NONE), knob: 0.2 if knob in ("translate", "scale") else 15.0})
    x = pixels()
    y = random_affine(x, settings, torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert ((y - x).abs().amax((1, 2, 3)) > 1).all()
    assert y.min() >= 0 and y.max() <= 255


def test_the_same_generator_gives_the_same_pictures():
    settings = Augment(degrees=10.0, translate=0.1, scale=0.1, shear=10.0)
    first, second = (random_affine(pixels(), settings, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_translation_stays_within_its_share():
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 14, 14] = 1.0
    settings = Augment(**{**vars(NONE), "translate": 0.1})
    y = random_affine(x, settings, torch.Generator().manual_seed(0))
    rows = y.sum((1, 3)).argmax(1)
    assert (rows - 14).abs().max() <= 3  # 0.1 of 28 pixels
    assert (rows != 14).any()
