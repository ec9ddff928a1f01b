import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.mining.offline import hardest_negatives, nearest_classes


def grid(seed, count):
    """Whole coordinates make ties."""
    return torch.randint(-3, 4, (count, 2), generator=torch.Generator().manual_seed(seed)).float()


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16), sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5), block=st.integers(1, 20))
def test_hardest_negatives_are_the_nearest_of_other_labels(seed, sizes, block):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    points = grid(seed, len(labels))
    k = min(3, len(labels) - max(sizes))
    found = hardest_negatives(points, labels, k, block)
    assert (labels[found.indices] != labels[:, None]).all()
    for i in range(len(labels)):
        wanted = sorted(squared(points[i], points[n]) for n in range(len(labels)) if labels[n] != labels[i])[:k]
        assert found.squared[i].tolist() == wanted
        assert [squared(points[i], points[n]) for n in found.indices[i]] == wanted


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16), sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6), block=st.integers(1, 20))
def test_nearest_classes_are_those_whose_two_nearest_images_are_nearest(seed, sizes, block):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    labels, points = labels[order], grid(seed, len(labels))
    k = min(2, len(sizes) - 1)
    found = nearest_classes(points, labels, k, block).tolist()
    for c in range(len(sizes)):
        away = {
            other: min(squared(a, b) for a in points[labels == c] for b in points[labels == other])
            for other in range(len(sizes))
            if other != c
        }
        assert found[c] == sorted(away, key=lambda other: (away[other], other))[:k]


@pytest.mark.parametrize("k", [0, 3])
def test_more_negatives_than_there_are_is_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}; needs 1 to 2, the fewest images of other classes"):
        hardest_negatives(torch.zeros(5, 2), torch.tensor([0, 0, 0, 1, 1]), k)


def test_a_class_without_an_image_and_too_many_classes_are_refused():
    with pytest.raises(ValueError, match=r"classes \[1\] have no image; every class from 0 to 2 needs one"):
        nearest_classes(torch.zeros(2, 2), torch.tensor([0, 2]), 1)
    with pytest.raises(ValueError, match="k is 2 of 2 classes"):
        nearest_classes(torch.zeros(2, 2), torch.tensor([0, 1]), 2)
