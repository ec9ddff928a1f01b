import math

import pytest
import torch
from pytorch_metric_learning import losses

from kshot.losses import nt_xent_loss, supervised_contrastive_loss
from tests.losses import batches


def loss(points, labels):
    return supervised_contrastive_loss(points, labels, temperature=0.3)


def listed(points, labels, temperature):
    """The definition, anchor by anchor."""
    weight = torch.exp(torch.nn.functional.cosine_similarity(points[:, None], points[None], dim=-1) / temperature)
    of_anchor = []
    for a in range(len(labels)):
        everyone = sum(float(weight[a, i]) for i in range(len(labels)) if i != a)
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        if positives:
            of_anchor.append(sum(-math.log(float(weight[a, p]) / everyone) for p in positives) / len(positives))
    return sum(of_anchor) / len(of_anchor)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_mean_over_listed_anchors(seed, temperature):
    points, labels = batches.batch(seed)
    wanted = listed(points, labels, temperature)
    assert supervised_contrastive_loss(points, labels, temperature).item() == pytest.approx(wanted, rel=1e-9)


def test_agrees_with_pytorch_metric_learning():
    points, labels = batches.batch(3, size=24)
    peer = losses.SupConLoss(0.2)
    torch.testing.assert_close(supervised_contrastive_loss(points, labels, 0.2), peer(points, labels))


def test_with_two_images_a_class_it_is_nt_xent():
    points, labels = batches.balanced(0, images=2)
    torch.testing.assert_close(loss(points, labels), nt_xent_loss(points, labels, 0.3))


def test_one_class_pulls_together_and_images_alone_give_zero():
    batches.check_nothing_to_mine(loss, one_class=False)
    points, labels = batches.balanced(0, classes=1)
    assert loss(points, labels).item() > 0


@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_order_of_the_batch, batches.check_names_of_the_classes,
    batches.check_dtype, batches.check_autocast, batches.check_identical_images, batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check):
    check(loss)


def test_a_temperature_that_is_none_is_refused():
    points, labels = batches.batch(0)
    with pytest.raises(ValueError, match="temperature is 0; needs a finite number above 0"):
        supervised_contrastive_loss(points, labels, 0)
