import math

import pytest
import torch
from pytorch_metric_learning import losses

from kshot.losses import nt_xent_loss
from tests.losses import batches


def loss(points, labels):
    return nt_xent_loss(points, labels, temperature=0.3)


def listed(points, labels, temperature):
    """The definition, pair by pair."""
    weight = torch.exp(torch.nn.functional.cosine_similarity(points[:, None], points[None], dim=-1) / temperature)
    values = []
    for a in range(len(labels)):
        against = sum(float(weight[a, n]) for n in range(len(labels)) if labels[n] != labels[a])
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        values += [-math.log(float(weight[a, p]) / (float(weight[a, p]) + against)) for p in positives]
    return sum(values) / len(values)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_mean_over_listed_pairs(seed, temperature):
    points, labels = batches.batch(seed)
    wanted = listed(points, labels, temperature)
    assert nt_xent_loss(points, labels, temperature).item() == pytest.approx(wanted, rel=1e-9)


def test_agrees_with_pytorch_metric_learning():
    points, labels = batches.batch(3, size=24)
    torch.testing.assert_close(nt_xent_loss(points, labels, 0.2), losses.NTXentLoss(0.2)(points, labels))


def test_numbers_by_hand():
    # Two classes at right angles, two images each at one point: every pair has cos 1 against two negatives at cos 0.
    points = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
    wanted = math.log(1 + 2 * math.exp(-1 / 0.5))
    assert nt_xent_loss(points, torch.tensor([0, 0, 1, 1]), 0.5).item() == pytest.approx(wanted, rel=1e-6)


def test_length_does_not_matter():
    points, labels = batches.batch(0)
    torch.testing.assert_close(loss(7 * points, labels), loss(points, labels))


def test_a_small_temperature_does_not_overflow():
    points, labels = batches.balanced(0, dtype=torch.float32)
    points.requires_grad_()
    value = nt_xent_loss(points, labels, 0.001)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(points.grad).all()


@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_order_of_the_batch, batches.check_names_of_the_classes,
    batches.check_dtype, batches.check_autocast, batches.check_identical_images, batches.check_nothing_to_mine,
    batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check):
    check(loss)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_refused(temperature):
    points, labels = batches.batch(0)
    with pytest.raises(ValueError, match="temperature is .*; needs a finite number above 0"):
        nt_xent_loss(points, labels, temperature)
