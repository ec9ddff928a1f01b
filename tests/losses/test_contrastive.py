import itertools
import math

import pytest
import torch

from kshot.losses import contrastive_loss


def over_pairs(points, labels, margin):
    """The definition, pair by pair."""
    values = []
    for i, j in itertools.combinations(range(len(labels)), 2):
        d = math.dist(points[i].tolist(), points[j].tolist())
        values.append(d**2 if labels[i] == labels[j] else max(0.0, margin - d) ** 2)
    return sum(values) / len(values)


def batch(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 5, generator=generator, dtype=dtype), torch.randint(0, 4, (12,), generator=generator)


def test_numbers_by_hand():
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    # Same pair: 1² = 1. Others: (6 - 5)² = 1 and (6 - sqrt(18))².
    wanted = (1 + 1 + (6 - math.sqrt(18)) ** 2) / 3
    assert contrastive_loss(points, torch.tensor([0, 0, 1]), margin=6.0).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_mean_over_listed_pairs(seed, margin):
    points, labels = batch(seed)
    assert contrastive_loss(points, labels, margin=margin).item() == pytest.approx(
        over_pairs(points, labels, margin), rel=1e-12
    )


def test_gradient_agrees_with_finite_differences():
    points, labels = batch(0)
    assert torch.autograd.gradcheck(lambda x: contrastive_loss(x, labels, margin=2.0), (points.requires_grad_(),))


def test_order_of_the_batch_does_not_matter():
    points, labels = batch(1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        contrastive_loss(points[order], labels[order], margin=2.0), contrastive_loss(points, labels, margin=2.0)
    )


@pytest.mark.parametrize("label", [[0, 0, 0], [0, 1, 2]])
def test_identical_images_give_a_finite_gradient(label):
    points = torch.ones(3, 4, requires_grad=True)
    contrastive_loss(points, torch.tensor(label), margin=1.0).backward()
    assert torch.isfinite(points.grad).all()


def test_one_embedding_has_no_pair_and_loss_zero():
    points = torch.ones(1, 4, requires_grad=True)
    loss = contrastive_loss(points, torch.tensor([0]), margin=1.0)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(points.grad, torch.zeros(1, 4))


def test_scaling_points_and_margin_scales_by_the_square():
    points, labels = batch(2)
    torch.testing.assert_close(
        contrastive_loss(3 * points, labels, margin=6.0), 9 * contrastive_loss(points, labels, margin=2.0)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype):
    points, labels = batch(0, dtype)
    assert contrastive_loss(points, labels, margin=1.0).dtype == dtype


@pytest.mark.parametrize(
    ("points", "labels", "margin", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3).long(), -0.1, "margin is -0.1"),
        (torch.zeros(3, 2), torch.zeros(3).long(), math.nan, "margin is nan"),
        (torch.zeros(3, 2), torch.zeros(2).long(), 1.0, r"labels are \(2,\); need \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3), 1.0, "need integers"),
        (torch.zeros(3, 2, 1), torch.zeros(3).long(), 1.0, r"need floating point of shape \(B, D\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(points, labels, margin, message):
    with pytest.raises(ValueError, match=message):
        contrastive_loss(points, labels, margin=margin)
