import itertools
import math

import pytest
import torch

from kshot.losses import contrastive_loss
from kshot.losses.contrastive import contrastive_terms
from tests.losses import batches


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


MININGS = ["all_pairs", "random_pairs", "hard_pairs", "semi_hard_pairs"]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_names_of_the_classes, batches.check_dtype, batches.check_autocast,
    batches.check_identical_images, batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check, mining, distance):
    def loss(points, labels):
        generator = torch.Generator().manual_seed(0)
        return contrastive_loss(points, labels, 1.5, mining, distance, generator)

    check(loss)


@pytest.mark.parametrize("mining", ["hard_pairs", "semi_hard_pairs"])
def test_mining_does_not_depend_on_the_order_of_the_batch(mining):
    batches.check_order_of_the_batch(lambda points, labels: contrastive_loss(points, labels, 2.0, mining))


def test_hard_pairs_by_hand():
    # On a line at 0, 1 (class 0) and 3, 7 (class 1), margin 5. Each anchor has one positive, and so one negative: its
    # nearest, 3 for 0, 3 for 1, 1 for 3, 1 for 7.
    points, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    pull, push = 1 + 1 + 16 + 16, (5 - 3) ** 2 + (5 - 2) ** 2 + (5 - 2) ** 2 + 0
    assert contrastive_loss(points, labels, 5.0, "hard_pairs").item() == pytest.approx((pull + push) / 8)


def test_semi_hard_pairs_by_hand():
    # As above: 3's positive is 4 away, and no negative is beyond it; 7's nearest beyond 4 is 1, 6 away.
    points, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    pull, push = 1 + 1 + 16 + 16, (8 - 3) ** 2 + (8 - 2) ** 2 + (8 - 6) ** 2
    assert contrastive_loss(points, labels, 8.0, "semi_hard_pairs").item() == pytest.approx((pull + push) / 7)


def test_random_pairs_come_from_the_generator_alone():
    points, labels = batches.balanced(0)

    def loss(seed):
        return contrastive_loss(points, labels, 3.0, "random_pairs", generator=torch.Generator().manual_seed(seed))

    assert torch.equal(loss(0), loss(0)) and not torch.equal(loss(0), loss(1))


def test_active_is_the_share_of_negative_pairs_inside_the_margin():
    points, labels = torch.tensor([[0.0], [0.0], [1.0], [9.0]]), torch.tensor([0, 0, 1, 2])
    # Negative pairs: two at 1, two at 9, one at 8.
    assert contrastive_terms(points, labels, margin=2.0).active.item() == pytest.approx(2 / 5)
    assert contrastive_terms(points, labels, margin=0.5).active.item() == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1,), "margin is -0.1"),
        ((math.nan,), "margin is nan"),
        ((1.0, "hardest"), "'hardest'; needs one of all_pairs, random_pairs, hard_pairs, semi_hard_pairs"),
        ((1.0, "all_pairs", "squared_euclidean"), "squares by itself"),
        ((1.0, "all_pairs", "manhattan"), "needs one of euclidean, squared_euclidean, cosine"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    points, labels = batch(0)
    with pytest.raises(ValueError, match=message):
        contrastive_loss(points, labels, *arguments)
