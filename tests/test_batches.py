import itertools

import numpy as np
import pytest
import torch

from kshot.batches import ClassBalanced, gather, split_support
from kshot.errors import DataError


def images(count=4, size=3, channels=2):
    return np.arange(count * size * size * channels, dtype=np.uint8).reshape(count, size, size, channels)


@pytest.mark.parametrize("turns", range(4))
def test_an_id_names_an_image_and_its_quarter_turns(turns):
    packed = images()
    pixels = gather(packed, torch.tensor([turns * 4 + 1, 2]))
    assert np.array_equal(pixels[0].permute(1, 2, 0).numpy(), np.rot90(packed[1], turns))
    assert np.array_equal(pixels[1].permute(1, 2, 0).numpy(), packed[2])


def test_mapped_and_resident_pixels_are_the_same_and_stay_as_they_were(tmp_path):
    packed = images()
    np.save(tmp_path / "images.npy", packed)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    ids = torch.arange(16)
    assert torch.equal(gather(mapped, ids), gather(torch.from_numpy(packed.copy()), ids))
    assert np.array_equal(mapped, packed)


def test_batches_are_channels_last():
    assert gather(images(), torch.arange(8)).is_contiguous(memory_format=torch.channels_last)


def members(sizes):
    starts = np.cumsum([0, *sizes])
    return [np.arange(a, b) for a, b in itertools.pairwise(starts)]


def test_a_batch_is_balanced_and_without_repeats():
    balanced = ClassBalanced(members([5, 9, 4, 7]), list("abcd"), classes_per_batch=3, images_per_class=4)
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(50):
        ids, labels = balanced.draw(generator)
        assert len(set(ids.tolist())) == 12
        assert sorted(labels.bincount(minlength=4).tolist()) == [0, 4, 4, 4]
        for position, label in zip(ids.tolist(), labels.tolist(), strict=True):
            assert position in members([5, 9, 4, 7])[label]
        seen |= set(ids.tolist())
    assert seen == set(range(25))


def test_the_same_generator_draws_the_same_batches():
    balanced = ClassBalanced(members([5, 5, 5]), list("abc"), 2, 3)
    first, second = (balanced.draw(torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_too_few_classes_are_told():
    with pytest.raises(DataError, match=r"has 2 classes; train.classes_per_batch is 3"):
        ClassBalanced(members([5, 5]), list("ab"), 3, 2)


def test_a_class_that_is_too_small_is_named():
    with pytest.raises(DataError, match=r"class 'b' has 2 images; train.images_per_class is 3"):
        ClassBalanced(members([5, 2]), list("ab"), 2, 3)


def test_support_is_the_first_images_of_each_class():
    support, query = split_support(torch.tensor([7, 7, 7, 2, 2, 2]), images_per_class=3, k_shot=1)
    assert support.tolist() == [0, 3]
    assert query.tolist() == [1, 2, 4, 5]
