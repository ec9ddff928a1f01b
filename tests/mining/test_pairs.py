import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.distances import euclidean
from kshot.mining.pairs import PAIR_MININGS
from kshot.mining.relations import relations


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(-2, 3), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
    mining=st.sampled_from(list(PAIR_MININGS)),
)
def test_pairs_bear_the_right_labels_and_negatives_are_as_many_as_positives(labels, seed, mining):
    labels = torch.tensor(labels)
    points = torch.randint(-2, 3, (len(labels), 2), generator=torch.Generator().manual_seed(seed)).double()
    distances, related = euclidean(points, points), relations(labels)
    pairs = PAIR_MININGS[mining](distances, *related, torch.Generator().manual_seed(seed))
    assert torch.equal(pairs.positive, related.positive)
    assert not (pairs.negative & ~related.negative).any()
    positives, negatives = pairs.positive.sum(1), related.negative.sum(1)
    if mining == "all_pairs":
        assert torch.equal(pairs.negative, related.negative)
    elif mining == "semi_hard_pairs":
        assert (pairs.negative.sum(1) <= torch.minimum(positives, negatives)).all()
        farthest = distances.masked_fill(~related.positive, -1).amax(1, keepdim=True)
        assert (distances > farthest)[pairs.negative].all()
    else:
        assert torch.equal(pairs.negative.sum(1), torch.minimum(positives, negatives))
    if mining == "hard_pairs":
        left = related.negative & ~pairs.negative
        worst = distances.masked_fill(~pairs.negative, -1).amax(1)
        best_left = distances.masked_fill(~left, torch.inf).amin(1)
        assert (worst <= best_left).all()


def test_random_pairs_are_equally_likely():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    related, generator = relations(labels), torch.Generator().manual_seed(0)
    counts = sum(PAIR_MININGS["random_pairs"](torch.zeros(6, 6), *related, generator).negative[0] for _ in range(4000))
    assert counts[:2].tolist() == [0, 0]
    torch.testing.assert_close(counts[2:] / 4000, torch.full((4,), 0.25), atol=0.03, rtol=0)
