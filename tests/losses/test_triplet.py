import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, losses, miners, reducers

from kshot.losses import given_triplets_loss, triplet_loss
from kshot.losses.triplet import MININGS, given_triplets_terms, triplet_terms
from kshot.mining.triplets import TRIPLET_MININGS, Triplets
from tests.losses import batches

EXACT = ["batch_all", "batch_all_nonzero", "batch_hard", "semi_hard", "semi_hard_nearest", "easy_positive"]


def listed(points, labels, margin, mining, distance="squared_euclidean"):
    """The definition, triplet by triplet."""
    d = [[float(((a - b) ** 2).sum()) for b in points] for a in points]
    if distance == "euclidean":
        d = [[math.sqrt(value) for value in row] for row in d]
    if distance == "cosine":
        d = [[1 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for b in points] for a in points]
    values = []
    for a in range(len(labels)):
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        if not positives or not negatives:
            continue
        hardest = min(d[a][n] for n in negatives)
        if mining in ("batch_hard", "easy_positive"):
            pick = max if mining == "batch_hard" else min
            values.append(max(0.0, pick(d[a][p] for p in positives) - hardest + margin))
        elif mining == "semi_hard_nearest":
            for p in positives:
                beyond = [d[a][n] for n in negatives if d[a][n] > d[a][p]]
                negative = min(beyond) if beyond else max(d[a][n] for n in negatives)
                values.append(max(0.0, d[a][p] - negative + margin))
        else:
            for p, n in itertools.product(positives, negatives):
                hinge = max(0.0, d[a][p] - d[a][n] + margin)
                semi_hard = d[a][p] < d[a][n] < d[a][p] + margin
                violates = d[a][n] < d[a][p] + margin
                if {"batch_all": True, "batch_all_nonzero": violates, "semi_hard": semi_hard}[mining]:
                    values.append(hinge)
    return sum(values) / len(values) if values else 0.0


def batch(seed, **changes):
    return batches.batch(seed, **changes)


@pytest.mark.parametrize(
    ("mining", "wanted"),
    [
        # On a line at 0, 1 (class 0) and 2, 4 (class 1), margin 2. Squared distances: 0-1 1, 0-2 4, 0-4 16, 1-2 1,
        # 1-4 9, 2-4 4. Eight triplets; only the anchors at 1 and at 2 violate: 1-1+2, and 4-4+2 and 4-1+2.
        ("batch_all", (2 + 2 + 5) / 8),
        # Anchor 0: 1-4+2 < 0; 1: 1-1+2; 2: 4-1+2; 4: 4-9+2 < 0.
        ("batch_hard", (0 + 2 + 5 + 0) / 4),
        ("batch_all_nonzero", (2 + 2 + 5) / 3),
        # None: 4 lies at the margin or beyond for every anchor, and equal distances are not semi-hard.
        ("semi_hard", 0.0),
        # 0 takes 2 (4 away), 1 takes 4 (9 away), 2 has none beyond its positive and takes its farthest, 0 (4 away), as
        # does 4 with 0 (16 away, which is nearest beyond 4 but for 1, 9 away).
        ("semi_hard_nearest", (0 + 0 + (4 - 4 + 2) + 0) / 4),
        # 0: 1-4+2 < 0; 1: 1-1+2; 2: 4-1+2; 4: 4-9+2 < 0: with one positive it is batch-hard.
        ("easy_positive", (0 + 2 + 5 + 0) / 4),
    ],
)
def test_numbers_by_hand(mining, wanted):
    points, labels = torch.tensor([[0.0], [1.0], [2.0], [4.0]]), torch.tensor([0, 0, 1, 1])
    assert triplet_loss(points, labels, margin=2.0, mining=mining).item() == pytest.approx(wanted)


@pytest.mark.parametrize("distance", ["squared_euclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("mining", EXACT)
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_mean_over_listed_triplets(seed, margin, mining, distance):
    points, labels = batch(seed)
    wanted = listed(points, labels, margin, mining, distance)
    found = triplet_loss(points, labels, margin=margin, mining=mining, distance=distance)
    assert found.item() == pytest.approx(wanted, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(-3, 3), min_size=1, max_size=9),
    seed=st.integers(0, 2**16),
    margin=st.integers(0, 32).map(lambda eighths: eighths / 8),  # exact beside whole distances, in float32 too
    mining=st.sampled_from(EXACT),
)
def test_equals_the_listed_triplets_whatever_the_labels(labels, seed, margin, mining):
    # Whole coordinates make ties, exact in float32, where strict and non-strict comparisons part.
    points = torch.randint(-2, 3, (len(labels), 2), generator=torch.Generator().manual_seed(seed)).float()
    wanted = listed(points, labels, margin, mining)
    assert triplet_loss(points, torch.tensor(labels), margin=margin, mining=mining).item() == pytest.approx(wanted)


@pytest.mark.parametrize("mining", ["batch_all", "batch_all_nonzero", "semi_hard", "batch_hard"])
def test_agrees_with_pytorch_metric_learning(mining):
    points, labels = batch(3, size=24)
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    nonzero = mining in ("batch_all_nonzero", "semi_hard")
    reducer = reducers.AvgNonZeroReducer() if nonzero else reducers.MeanReducer()
    peer = losses.TripletMarginLoss(margin=1.5, distance=squared, reducer=reducer)
    miner = {
        "semi_hard": miners.TripletMarginMiner(margin=1.5, type_of_triplets="semihard", distance=squared),
        "batch_hard": miners.BatchHardMiner(distance=squared),
    }.get(mining)
    wanted = peer(points, labels, miner(points, labels) if miner else None)
    torch.testing.assert_close(triplet_loss(points, labels, margin=1.5, mining=mining), wanted)


def any_triplets(mining, distance="squared_euclidean", margin=1.5):
    """The loss with what is drawn held still; unit length where the mining asks for it."""

    def loss(points, labels):
        generator = torch.Generator().manual_seed(0)
        if mining == "distance_weighted" and points.is_floating_point():
            unit = torch.nn.functional.normalize(points, dim=1)
            return triplet_loss(unit, labels, margin, mining, "euclidean", generator)
        return triplet_loss(points, labels, margin, mining, distance, generator)

    return loss


@pytest.mark.parametrize("distance", ["squared_euclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_names_of_the_classes, batches.check_autocast, batches.check_identical_images,
    batches.check_nothing_to_mine, batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check, mining, distance):
    check(any_triplets(mining, distance))


@pytest.mark.parametrize("mining", EXACT)
@pytest.mark.parametrize("check", [batches.check_order_of_the_batch, batches.check_dtype])
def test_what_every_loss_without_chance_keeps(check, mining):
    check(any_triplets(mining))


@pytest.mark.parametrize("mining", TRIPLET_MININGS)
def test_soft_margin_keeps_what_every_loss_keeps(mining):
    for check in (batches.check_gradient, batches.check_identical_images, batches.check_nothing_to_mine):
        check(any_triplets(mining, margin=None))


def test_scaling_points_and_margin_scales_the_loss():
    points, labels = batch(2)
    for mining in EXACT:
        for distance, power in [("squared_euclidean", 2), ("euclidean", 1), ("cosine", 0)]:
            once = triplet_loss(points, labels, 0.7, mining, distance)
            twice = triplet_loss(2 * points, labels, 0.7 * 2**power, mining, distance)
            torch.testing.assert_close(twice, 2**power * once)


def test_identical_images_give_the_margin_or_nothing():
    points, labels = torch.ones(4, 3), torch.tensor([0, 0, 1, 1])
    for mining in MININGS:
        wanted = 0.0 if mining == "semi_hard" else 1.0
        generator = torch.Generator().manual_seed(0)
        distance = "euclidean" if mining == "distance_weighted" else "squared_euclidean"
        assert triplet_loss(points, labels, 1.0, mining, distance, generator).item() == wanted


def test_given_triplets_by_hand():
    points = torch.tensor([[0.0], [1.0], [3.0]])
    triplets = Triplets(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([2, 2]))
    # 1 - 9 + 6 < 0 and 1 - 4 + 6 = 3 squared; 1 - 3 + 6 and 1 - 2 + 6 otherwise.
    terms = given_triplets_terms(points, triplets, 6.0)
    assert terms.loss.item() == pytest.approx(1.5) and terms.active.item() == 0.5
    assert given_triplets_loss(points, triplets, 6.0, "euclidean").item() == pytest.approx(4.5)
    soft = (math.log(1 + math.exp(1 - 9)) + math.log(1 + math.exp(1 - 4))) / 2
    assert given_triplets_loss(points, triplets, None).item() == pytest.approx(soft)


def test_no_given_triplet_gives_zero():
    none = torch.zeros(0, dtype=torch.int64)
    points = torch.ones(3, 2, requires_grad=True)
    terms = given_triplets_terms(points, Triplets(none, none, none), 1.0)
    terms.loss.backward()
    assert terms.loss.item() == 0.0 and terms.active.item() == 0.0
    assert torch.equal(points.grad, torch.zeros(3, 2))


def test_given_triplets_of_unequal_number_are_named():
    triplets = Triplets(torch.tensor([0, 1]), torch.tensor([1]), torch.tensor([2, 2]))
    with pytest.raises(ValueError, match=r"triplets are \(2,\), \(1,\), \(2,\); need"):
        given_triplets_loss(torch.zeros(3, 2), triplets, 1.0)


@pytest.mark.parametrize(
    ("mining", "share"),
    [
        # The numbers by hand above: three of eight triplets violate, none of them is semi-hard; two of four hard ones.
        ("batch_all", 3 / 8),
        ("batch_all_nonzero", 3 / 8),
        ("semi_hard", 0.0),
        ("batch_hard", 1 / 2),
    ],
)
def test_active_is_the_share_that_violates_the_margin(mining, share):
    points, labels = torch.tensor([[0.0], [1.0], [2.0], [4.0]]), torch.tensor([0, 0, 1, 1])
    assert triplet_terms(points, labels, 2.0, mining).active.item() == pytest.approx(share)


@pytest.mark.parametrize(
    ("margin", "mining", "distance", "message"),
    [
        (1.0, "hardest", "euclidean", "'hardest'; needs one of batch_all, batch_all_nonzero, semi_hard, batch_hard"),
        (-1, "batch_all", "euclidean", "margin is -1"),
        (-1, "batch_hard", "euclidean", "margin is -1"),
        (math.inf, "semi_hard", "euclidean", "margin is inf"),
        (None, "batch_all", "euclidean", "only a hinge can be counted"),
        (1.0, "batch_all", "manhattan", "needs one of euclidean"),
        (1.0, "distance_weighted", "cosine", "distance_weighted needs 'euclidean'"),
    ],
)
def test_arguments_out_of_range_are_named(margin, mining, distance, message):
    points, labels = batch(0)
    with pytest.raises(ValueError, match=message):
        triplet_loss(points, labels, margin, mining, distance)
