import pytest
import torch

from kshot.data.augment import random_affine
from kshot.params.sections.augment import Augment, TaskAugment

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


def test_the_same_generator_gives_the_same_images():
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


def together(**knobs):
    return TaskAugment(**{"mirror": 0.0, "degrees": 0.0, "scale": 0.0, "shear": 0.0, **knobs})


@pytest.mark.parametrize("knobs", [{"mirror": 1.0}, {"degrees": 20.0}, {"scale": 0.3}, {"shear": 20.0}])
def test_what_is_asked_for_together_changes_every_image_alike(knobs):
    x = pixels()[:1].expand(6, -1, -1, -1)
    y = random_affine(x, NONE, torch.Generator().manual_seed(1), together(**knobs))
    assert (y - x).abs().amax() > 1
    assert torch.equal(y, y[:1].expand_as(y))


def test_a_mirror_is_exact_and_as_likely_as_asked():
    x, generator = pixels(), torch.Generator().manual_seed(0)
    mirrored = []
    for _ in range(200):
        y = random_affine(x, NONE, generator, together(mirror=0.3))
        kept = torch.allclose(y, x, atol=1e-2)
        assert kept or torch.allclose(y, x.flip(3), atol=1e-2)
        mirrored.append(not kept)
    assert 40 <= sum(mirrored) <= 80


def test_one_after_the_other_is_what_both_at_once_are():
    """Smooth images, so that what is lost by drawing them twice stays small."""
    waves = torch.linspace(0, 3, 64).sin()
    x = (waves[:, None] * waves + waves[None, :])[None, None].repeat(4, 1, 1, 1) * 100
    each, alike = Augment(degrees=10.0, translate=0.05, scale=0.1, shear=10.0), together(degrees=15.0, mirror=1.0)
    both = random_affine(x, each, torch.Generator().manual_seed(2), alike)
    generator = torch.Generator().manual_seed(2)
    torch.rand(4, 6, generator=generator)  # what the images' own changes take
    first = random_affine(x, NONE, generator, alike)
    second = random_affine(first, each, torch.Generator().manual_seed(2))
    inside = (..., slice(20, 44), slice(20, 44))
    assert (both - second)[inside].abs().max() < 1
    assert (both - random_affine(x, each, torch.Generator().manual_seed(2)))[inside].abs().max() > 10


def test_without_changes_together_the_generator_is_asked_for_the_images_alone():
    settings = Augment(degrees=10.0, translate=0.1, scale=0.1, shear=10.0)
    generator, other = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    random_affine(pixels(), settings, generator)
    torch.rand(6, 6, generator=other)
    assert torch.equal(generator.get_state(), other.get_state())
