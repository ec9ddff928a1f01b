import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.distances import euclidean
from kshot.mining.relations import relations
from kshot.mining.triplets import TRIPLET_MININGS, distance_weighted, random_triplets


def mined(mining, points, labels, seed=0):
    return TRIPLET_MININGS[mining](euclidean(points, points), *relations(labels), torch.Generator().manual_seed(seed))


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(-2, 3), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
    mining=st.sampled_from(list(TRIPLET_MININGS)),
    spread=st.sampled_from([0, 1, 2]),
)
def test_anchor_and_positive_share_a_label_that_the_negative_has_not(labels, seed, mining, spread):
    labels = torch.tensor(labels)
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(-spread, spread + 1, (len(labels), 2), generator=generator).double()
    anchor, positive, negative = mined(mining, torch.nn.functional.normalize(points, dim=1), labels, seed)
    assert (anchor != positive).all()
    assert (labels[anchor] == labels[positive]).all()
    assert (labels[anchor] != labels[negative]).all()
    same = labels[:, None] == labels[None, :]
    positives, negatives = same.sum(1) - 1, (~same).sum(1)
    one_an_anchor = mining in ("batch_hard", "easy_positive")
    wanted = ((positives > 0) & (negatives > 0)) if one_an_anchor else torch.where(negatives > 0, positives, 0)
    assert torch.equal(anchor.bincount(minlength=len(labels)), wanted.long())


def drawn(miner, points, labels, anchor, draws=4000, **options):
    """How often each image was drawn as the negative of `anchor`, as shares."""
    generator = torch.Generator().manual_seed(0)
    distances, related = euclidean(points, points), relations(labels)
    counts = torch.zeros(len(labels))
    for _ in range(draws):
        found = miner(distances, *related, generator, **options)
        counts[found.negative[found.anchor == anchor]] += 1
    return counts / counts.sum()


def test_random_negatives_are_equally_likely():
    points = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    shares = drawn(random_triplets, points, torch.tensor([0, 0, 1, 1, 2, 2]), anchor=0)
    assert shares[:2].tolist() == [0, 0]
    assert shares[2:].tolist() == pytest.approx([0.25] * 4, abs=0.03)


def test_distance_weighted_draws_by_one_over_the_density_on_the_sphere():
    def on_circle(distance):
        angle = 2 * math.asin(distance / 2)
        return [math.cos(angle), math.sin(angle)]

    away = [0.3, 0.5, 0.8, 1.2, 1.5]  # the first counts as 0.5, the last is beyond 1.4
    points = torch.tensor([on_circle(0.0), on_circle(0.1), *map(on_circle, away)])
    labels = torch.tensor([0, 0, 1, 2, 3, 4, 5])
    dim = 8

    def weight(d):
        return 1 / (d ** (dim - 2) * (1 - d * d / 4) ** ((dim - 3) / 2))

    weights = [weight(0.5), weight(0.5), weight(0.8), weight(1.2), 0.0]
    wanted = [w / sum(weights) for w in weights]
    shares = drawn(distance_weighted, points, labels, anchor=0, dim=dim)
    assert shares[2:].tolist() == pytest.approx(wanted, abs=0.03)


def test_distance_weighted_draws_alike_where_everything_is_far():
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    shares = drawn(distance_weighted, points, torch.tensor([0, 0, 1, 1]), anchor=0, draws=1000, dim=2)
    assert shares[2:].tolist() == pytest.approx([0.5, 0.5], abs=0.06)


@pytest.mark.parametrize("mining", ["random_triplets", "distance_weighted"])
def test_what_is_drawn_comes_from_the_generator_alone(mining):
    points = torch.nn.functional.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    labels = torch.arange(10).repeat_interleave(4)
    first, again, other = (mined(mining, points, labels, seed).negative for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
