import math

import pytest
import torch
from pytorch_metric_learning import distances, losses

from kshot.losses import n_pair_loss
from tests.losses import batches


def listed(points, labels):
    """The definition: in each round every class's next two images, anchor by anchor."""
    queues = {}
    for i, label in enumerate(labels.tolist()):
        queues.setdefault(label, []).append(i)
    values = []
    for start in range(0, max(map(len, queues.values())), 2):
        pairs = [queue[start : start + 2] for queue in queues.values() if len(queue) >= start + 2]
        for a, p in pairs:
            others = sum(math.exp(float(points[a] @ points[q] - points[a] @ points[p])) for _, q in pairs if q != p)
            values.append(math.log(1 + others))
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_listed_pairs_for_classes_of_unequal_sizes(seed):
    points, labels = batches.batch(seed)
    assert n_pair_loss(points, labels).item() == pytest.approx(listed(points, labels), rel=1e-9)


def test_agrees_with_pytorch_metric_learning_for_two_images_a_class():
    points, labels = batches.balanced(0, images=2)
    peer = losses.NPairsLoss(distance=distances.DotProductSimilarity(normalize_embeddings=False))
    torch.testing.assert_close(n_pair_loss(points, labels), peer(points, labels))


def test_an_image_left_over_is_not_used():
    points, labels = batches.balanced(0, images=3)
    points.requires_grad_()
    n_pair_loss(points, labels).backward()
    used = points.grad.abs().sum(1).reshape(-1, 3) > 0
    assert used.tolist() == [[True, True, False]] * 5


def test_the_order_of_classes_does_not_matter():
    points, labels = batches.balanced(0)
    order = torch.arange(20).reshape(5, 4)[[3, 1, 4, 0, 2]].flatten()
    torch.testing.assert_close(n_pair_loss(points[order], labels[order]), n_pair_loss(points, labels))


def test_large_products_do_not_overflow():
    points, labels = batches.balanced(0, dtype=torch.float32)
    points = (100 * points).requires_grad_()
    value = n_pair_loss(points, labels)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(points.grad).all()


@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_names_of_the_classes, batches.check_dtype, batches.check_autocast,
    batches.check_identical_images, batches.check_nothing_to_mine, batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check):
    check(n_pair_loss)
