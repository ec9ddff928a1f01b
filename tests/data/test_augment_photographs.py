"""Each change of photographs by itself, its randomness, and its range."""

import pytest
import torch

from kshot.data.augment_photographs import random_photographs
from kshot.params.reader import build
from kshot.params.sections.augment import PHOTOGRAPHS, Augment

OFF = dict.fromkeys(PHOTOGRAPHS, 0.0)
ALL = Augment(preset="photographs")


def images(count: int = 40) -> torch.Tensor:
    """Images that no change leaves as they are: uint8 (count, 3, 24, 24), all alike."""
    one = torch.randint(60, 200, (3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return one.expand(count, -1, -1, -1).clone()


def changed(settings: Augment, seed: int = 1, side: int = 16) -> torch.Tensor:
    return random_photographs(images(), settings, torch.Generator().manual_seed(seed), side)


def test_without_a_change_the_images_and_the_generator_stay() -> None:
    pixels, generator = images(), torch.Generator().manual_seed(0)
    before = generator.get_state()
    for settings in (Augment(), Augment(degrees=10.0), build(Augment, {"preset": "photographs", **OFF})):
        assert random_photographs(pixels, settings, generator, 16) is pixels
    assert torch.equal(generator.get_state(), before)


def test_the_preset_makes_every_image_another_of_the_network_s_size() -> None:
    found = changed(ALL)
    assert found.shape == (40, 3, 16, 16) and found.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in found}) == 40


def test_the_generator_decides_and_torch_s_own_stays() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = changed(ALL)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(changed(ALL), first)
    assert not torch.equal(changed(ALL, seed=2), first)


def test_mirror_alone_exchanges_left_and_right_of_some() -> None:
    found = changed(Augment(mirror=0.5))
    flipped = (found == images().flip(-1)).flatten(1).all(1)
    same = (found == images()).flatten(1).all(1)
    assert (flipped ^ same).all() and 10 <= int(flipped.sum()) <= 30


def test_erase_alone_leaves_the_other_pixels() -> None:
    found = changed(Augment(erase=1.0))
    black = (found == 0).all(1)
    assert torch.equal(torch.where(black[:, None], images(), found), images())
    assert 0.01 < black.float().mean() < 0.2


def test_colour_jitter_alone_keeps_the_size_and_changes_the_mean() -> None:
    found = changed(Augment(colour_jitter=0.3))
    means = found.float().mean((1, 2, 3))
    assert found.shape == images().shape
    assert means.std() > 5
    assert (means / images().float().mean() - 1).abs().max() < 0.35


def test_a_resized_crop_of_the_whole_area_keeps_the_image_s_content() -> None:
    plain = torch.full((8, 3, 24, 24), 120, dtype=torch.uint8)
    found = random_photographs(plain, Augment(resized_crop=0.5), torch.Generator().manual_seed(0), 10)
    assert found.shape == (8, 3, 10, 10) and (found == 120).all()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_each_change_can_be_switched_off_by_itself(name: str) -> None:
    settings = build(Augment, {"preset": "photographs", name: 0.0})
    assert set(settings.of_photographs) == set(PHOTOGRAPHS) - {name}
    assert build(Augment, {name: 0.5}).of_photographs == {name: 0.5}
