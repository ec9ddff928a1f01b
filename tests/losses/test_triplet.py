import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, losses, reducers

from kshot.losses import triplet_loss

MININGS = ["batch_all", "batch_hard", "semi_hard"]


def listed(points, labels, margin, mining):
    """The definition, triplet by triplet."""
    squared = [[float(((a - b) ** 2).sum()) for b in points] for a in points]
    values = []
    for a in range(len(labels)):
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        if mining == "batch_hard":
            if positives and negatives:
                hardest = max(squared[a][p] for p in positives) - min(squared[a][n] for n in negatives)
                values.append(max(0.0, hardest + margin))
            continue
        for p, n in itertools.product(positives, negatives):
            semi_hard = squared[a][p] < squared[a][n] < squared[a][p] + margin
            if mining == "batch_all" or semi_hard:
                values.append(max(0.0, squared[a][p] - squared[a][n] + margin))
    return sum(values) / len(values) if values else 0.0


def batch(seed, size=14, classes=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, 5, generator=generator, dtype=dtype)
    return points, torch.randint(0, classes, (size,), generator=generator)


@pytest.mark.parametrize(
    ("mining", "wanted"),
    [
        # On a line at 0, 1 (class 0) and 2, 4 (class 1), margin 2. Squared distances: 0-1 1, 0-2 4, 0-4 16, 1-2 1,
        # 1-4 9, 2-4 4. Eight triplets; only the anchors at 1 and at 2 violate: 1-1+2, and 4-4+2 and 4-1+2.
        ("batch_all", (2 + 2 + 5) / 8),
        # Anchor 0: 1-4+2 < 0; 1: 1-1+2; 2: 4-1+2; 4: 4-9+2 < 0.
        ("batch_hard", (0 + 2 + 5 + 0) / 4),
        # None: 4 lies at the margin or beyond for every anchor, and equal distances are not semi-hard.
        ("semi_hard", 0.0),
    ],
)
def test_numbers_by_hand(mining, wanted):
    points, labels = torch.tensor([[0.0], [1.0], [2.0], [4.0]]), torch.tensor([0, 0, 1, 1])
    assert triplet_loss(points, labels, margin=2.0, mining=mining).item() == pytest.approx(wanted)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_mean_over_listed_triplets(seed, margin, mining):
    points, labels = batch(seed)
    wanted = listed(points, labels, margin, mining)
    assert triplet_loss(points, labels, margin=margin, mining=mining).item() == pytest.approx(wanted, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(-3, 3), min_size=1, max_size=9),
    seed=st.integers(0, 2**16),
    margin=st.floats(0, 4),
    mining=st.sampled_from(MININGS),
)
def test_equals_the_listed_triplets_whatever_the_labels(labels, seed, margin, mining):
    # Whole coordinates make ties, where strict and non-strict comparisons part.
    points = torch.randint(-2, 3, (len(labels), 2), generator=torch.Generator().manual_seed(seed)).double()
    wanted = listed(points, labels, margin, mining)
    assert triplet_loss(points, torch.tensor(labels), margin=margin, mining=mining).item() == pytest.approx(wanted)


@pytest.mark.parametrize("mining", MININGS)
def test_gradient_agrees_with_finite_differences(mining):
    points, labels = batch(0)
    loss = lambda x: triplet_loss(x, labels, margin=2.0, mining=mining)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (points.requires_grad_(),))


def test_batch_all_agrees_with_pytorch_metric_learning():
    points, labels = batch(3, size=24)
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    peer = losses.TripletMarginLoss(margin=1.5, distance=squared, reducer=reducers.MeanReducer())
    torch.testing.assert_close(triplet_loss(points, labels, margin=1.5, mining="batch_all"), peer(points, labels))


@pytest.mark.parametrize("mining", MININGS)
def test_order_of_the_batch_does_not_matter(mining):
    points, labels = batch(1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        triplet_loss(points[order], labels[order], margin=2.0, mining=mining),
        triplet_loss(points, labels, margin=2.0, mining=mining),
    )


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0]])
def test_one_class_or_one_image_a_class_gives_zero_and_a_zero_gradient(labels, mining):
    points = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = triplet_loss(points, torch.tensor(labels), margin=1.0, mining=mining)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(points.grad, torch.zeros_like(points))


@pytest.mark.parametrize("mining", MININGS)
def test_identical_images_give_the_margin_or_nothing_and_a_finite_gradient(mining):
    points = torch.ones(4, 3, requires_grad=True)
    loss = triplet_loss(points, torch.tensor([0, 0, 1, 1]), margin=1.0, mining=mining)
    loss.backward()
    assert loss.item() == (0.0 if mining == "semi_hard" else 1.0)
    assert torch.isfinite(points.grad).all()


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype, mining):
    points, labels = batch(0, dtype=dtype)
    assert triplet_loss(points, labels, margin=1.0, mining=mining).dtype == dtype


def test_unknown_mining_lists_the_known():
    points, labels = batch(0)
    with pytest.raises(ValueError, match="'hardest'; needs one of batch_all, batch_hard, semi_hard"):
        triplet_loss(points, labels, margin=1.0, mining="hardest")


def test_margin_below_zero_is_refused():
    points, labels = batch(0)
    with pytest.raises(ValueError, match="margin is -1"):
        triplet_loss(points, labels, margin=-1, mining="batch_all")
