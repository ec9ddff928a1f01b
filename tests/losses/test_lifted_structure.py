import itertools
import math

import pytest
import torch
from pytorch_metric_learning import distances, losses

from kshot.losses import generalized_lifted_structure_loss, lifted_structure_loss
from kshot.losses.lifted_structure import generalized_lifted_structure_terms, lifted_structure_terms
from tests.losses import batches

FORMS = [lifted_structure_loss, generalized_lifted_structure_loss]


def original(points, labels, margin):
    """Song et al. 2016, pair by pair."""
    d = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").tolist()
    values = []
    for i, j in itertools.combinations(range(len(labels)), 2):
        if labels[i] == labels[j]:
            against = sum(
                math.exp(margin - d[e][n]) for e in (i, j) for n in range(len(labels)) if labels[n] != labels[e]
            )
            values.append(max(0.0, math.log(against) + d[i][j]) ** 2 / 2)
    return sum(values) / len(values)


def generalized(points, labels, margin):
    """Hermans et al. 2017, anchor by anchor."""
    d = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").tolist()
    values = []
    for a in range(len(labels)):
        pull = sum(math.exp(d[a][p]) for p in range(len(labels)) if p != a and labels[p] == labels[a])
        push = sum(math.exp(margin - d[a][n]) for n in range(len(labels)) if labels[n] != labels[a])
        if pull and push:
            values.append(max(0.0, math.log(pull) + math.log(push)))
    return sum(values) / len(values)


@pytest.mark.parametrize("margin", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("loss", "oracle"), list(zip(FORMS, [original, generalized], strict=True)))
def test_equals_the_listed_terms(loss, oracle, seed, margin):
    points, labels = batches.batch(seed)
    assert loss(points, labels, margin).item() == pytest.approx(oracle(points, labels, margin), rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "peer"), list(zip(FORMS, [losses.LiftedStructureLoss, losses.GeneralizedLiftedStructureLoss], strict=True))
)
def test_agrees_with_pytorch_metric_learning(loss, peer):
    points, labels = batches.batch(3, size=24)
    euclidean = distances.LpDistance(normalize_embeddings=False)
    wanted = peer(neg_margin=1.0, pos_margin=0.0, distance=euclidean)(points, labels)
    torch.testing.assert_close(loss(points, labels, 1.0), wanted)


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
@pytest.mark.parametrize("loss", FORMS)
@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_order_of_the_batch, batches.check_names_of_the_classes,
    batches.check_dtype, batches.check_autocast, batches.check_identical_images, batches.check_nothing_to_mine,
    batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check, loss, distance):
    check(lambda points, labels: loss(points, labels, 1.0, distance))


@pytest.mark.parametrize("loss", FORMS)
def test_distances_beyond_the_exponent_do_not_overflow(loss):
    points, labels = batches.balanced(0, dtype=torch.float32)
    points = (1000 * points).requires_grad_()
    value = loss(points, labels, 1.0)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(points.grad).all()


SHARES = [(lifted_structure_terms, 1 / 2), (generalized_lifted_structure_terms, 1 / 4)]


@pytest.mark.parametrize(("terms", "share"), SHARES)
def test_active_is_the_share_that_still_pushes(terms, share):
    # Of the two pairs the one of class 1 pushes: its 150 are more than the 100 to the nearest negative. Of the four
    # anchors the one at 100 does: from 250 the positive is nearer than any negative.
    points = torch.tensor([[0.0], [0.0], [100.0], [250.0]])
    assert terms(points, torch.tensor([0, 0, 1, 1]), 0.0).active.item() == share


@pytest.mark.parametrize("loss", FORMS)
def test_bad_margins_and_distances_are_named(loss):
    points, labels = batches.batch(0)
    with pytest.raises(ValueError, match="margin is -1"):
        loss(points, labels, -1)
    with pytest.raises(ValueError, match="distance is 'manhattan'; needs one of euclidean, squared_euclidean, cosine"):
        loss(points, labels, 1.0, "manhattan")
