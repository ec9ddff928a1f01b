import itertools

import numpy as np
import pytest
import torch

from kshot.data.batches import ClassBalanced, gather, split_support
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
    with pytest.raises(DataError, match=r"has 2 classes; train.batch.classes is 3"):
        ClassBalanced(members([5, 5]), list("ab"), 3, 2)


def test_a_small_class_gives_all_of_its_images_before_any_comes_again():
    balanced = ClassBalanced(members([9, 2, 3]), list("abc"), 3, 5)
    for seed in range(20):
        ids, labels = balanced.draw(torch.Generator().manual_seed(seed))
        of = {label: ids[labels == label].tolist() for label in range(3)}
        assert len(set(of[0])) == 5
        assert sorted(set(of[1])) == [9, 10] and of[1][:2] == of[1][2:4]
        assert sorted(of[2][:3]) == [11, 12, 13] and of[2][3:] == of[2][:2]


def test_a_class_of_one_image_is_named():
    with pytest.raises(DataError, match=r"class 'b' has 1 images; training needs 2 of a class"):
        ClassBalanced(members([5, 1]), list("ab"), 2, 3)


def test_with_neighbours_classes_come_in_groups_and_none_twice():
    batches = ClassBalanced(members([5] * 12), [f"c{c}" for c in range(12)], 6, 2)
    # A ring: the neighbours of class c are c + 1 and c + 2.
    ring = (torch.arange(12)[:, None] + torch.tensor([1, 2])) % 12
    generator, together = torch.Generator().manual_seed(0), 0
    for _ in range(50):
        ids, labels = batches.draw(generator, ring)
        classes = labels[::2].tolist()
        assert len(set(classes)) == 6 and torch.equal(labels, labels[::2].repeat_interleave(2))
        assert torch.equal(ids // 5, labels)
        together += sum((c + 1) % 12 in classes for c in classes)
    assert together / 300 > 0.7  # by chance 5 of 11


def test_groups_are_those_of_a_plain_loop_over_the_generator_s_order():
    batches = ClassBalanced(members([5] * 12), [f"c{c}" for c in range(12)], 7, 2)
    steps = torch.stack([torch.randperm(11, generator=torch.Generator().manual_seed(c))[:3] + 1 for c in range(12)])
    near = (torch.arange(12)[:, None] + steps) % 12
    for seed in range(20):
        wanted = []
        for first in torch.randperm(12, generator=torch.Generator().manual_seed(seed)).tolist():
            wanted += [c for c in [first, *near[first].tolist()] if c not in wanted]
        labels = batches.draw(torch.Generator().manual_seed(seed), near)[1]
        assert labels[::2].tolist() == wanted[:7]


def test_without_neighbours_the_generator_is_asked_for_an_order_of_classes_then_one_of_images():
    batches = ClassBalanced(members([5, 5, 5, 5]), list("abcd"), 3, 2)
    generator, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(5):
        ids, labels = batches.draw(generator)
        classes = torch.randperm(4, generator=other)[:3].tolist()
        places = torch.rand(3, 5, generator=other).argsort(1)[:, :2].tolist()
        assert labels[::2].tolist() == classes
        assert ids.tolist() == [5 * c + place for c, row in zip(classes, places, strict=True) for place in row]
    assert torch.equal(generator.get_state(), other.get_state())


def test_without_neighbours_every_class_is_as_likely():
    batches = ClassBalanced(members([5] * 12), [f"c{c}" for c in range(12)], 6, 2)
    generator = torch.Generator().manual_seed(0)
    counts = torch.cat([batches.draw(generator)[1][::2] for _ in range(400)]).bincount(minlength=12)
    assert (counts / 400 - 0.5).abs().max() < 0.1


def test_classes_of_a_group_come_together_and_no_more_of_each_than_asked():
    groups = list("aaaaabbbccccc")
    batches = ClassBalanced(members([5] * 13), groups, 8, 2, groups, classes_of_group=4)
    generator, seen = torch.Generator().manual_seed(0), set()
    for _ in range(50):
        _, labels = batches.draw(generator)
        classes = labels[::2].tolist()
        assert len(set(classes)) == 8
        runs = [(group, len(list(run))) for group, run in itertools.groupby(groups[label] for label in classes)]
        # The last group fills up what is left; the others give 4 classes, or the 3 that b has.
        assert len({group for group, _ in runs}) == len(runs)
        assert all(count == {"a": 4, "b": 3, "c": 4}[group] for group, count in runs[:-1])
        seen |= set(classes)
    assert seen == set(range(13))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", "a", "", "b"], "class '2' is in no group, and train.batch.classes_of_group is 2"),
        (["a", "a", "a", "b"], "2 groups, 3 classes with 2 of each at most .* train.batch.classes is 4"),
    ],
)
def test_groups_that_cannot_fill_a_batch_are_told(groups, message):
    with pytest.raises(DataError, match=message):
        ClassBalanced(members([5] * 4), list("0123"), 4, 2, groups, classes_of_group=2)


def test_one_image_a_class_is_warned_of_once_at_the_start():
    with pytest.warns(UserWarning, match="no batch will have a positive pair: train.batch.images is 1; raise it"):
        batches = ClassBalanced(members([5] * 3), list("abc"), 2, 1)
    batches.draw(torch.Generator().manual_seed(0))


def test_support_is_the_first_images_of_each_class():
    support, query = split_support(torch.tensor([7, 7, 7, 2, 2, 2]), images_per_class=3, k_shot=1)
    assert support.tolist() == [0, 3]
    assert query.tolist() == [1, 2, 4, 5]
