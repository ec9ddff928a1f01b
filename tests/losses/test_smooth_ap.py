import pytest
import torch
from torch.nn.functional import normalize

from kshot.losses import smooth_ap_loss
from tests.losses import batches


def loss(points, labels):
    return smooth_ap_loss(points, labels, temperature=0.3)


def listed(points, labels, temperature=0.01):
    """The definition, image by image."""
    unit, size, values = normalize(points, dim=1), len(labels), []
    s = unit @ unit.T
    for i in range(size):
        ours = [j for j in range(size) if labels[j] == labels[i]]
        terms = []
        for j in ours:
            above = [torch.sigmoid((s[i, k] - s[i, j]) / temperature).item() if k != j else 0.0 for k in range(size)]
            terms.append((1 + sum(above[k] for k in ours)) / (1 + sum(above)))
        values.append(1 - sum(terms) / len(ours))
    return sum(values) / size


@pytest.mark.parametrize("labels", [[0] * 3 + [1] * 3, [0, 1, 2] * 4, [2, 0, 0, 1, 0, 1], [0, 1, 2], [0, 0, 0]])
def test_it_is_its_definition_for_any_classes_in_any_order(labels):
    points = torch.randn(len(labels), 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = smooth_ap_loss(points, torch.tensor(labels), 0.01)
    assert found.item() == pytest.approx(listed(points, labels), abs=1e-12)


def test_the_loss_of_separated_classes_is_zero():
    labels = torch.arange(12).repeat_interleave(4)
    assert smooth_ap_loss(torch.eye(16)[labels], labels, 0.01).item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("check", [
    batches.check_gradient, batches.check_order_of_the_batch, batches.check_names_of_the_classes,
    batches.check_dtype, batches.check_autocast, batches.check_identical_images, batches.check_bad_shapes,
])  # fmt: skip
def test_what_every_loss_keeps(check):
    check(loss)


def test_one_class_ranks_perfectly():
    for labels in ([0, 0, 0, 0], [0]):
        points = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0))
        assert loss(points, torch.tensor(labels)).item() == pytest.approx(0.0, abs=1e-6)


def test_a_temperature_that_is_none_is_refused():
    points, labels = batches.batch(0)
    with pytest.raises(ValueError, match="temperature is 0; needs a finite number above 0"):
        smooth_ap_loss(points, labels, 0)
