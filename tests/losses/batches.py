"""Batches shared by the tests of the losses, and the checks that every loss must pass."""

import pytest
import torch


def batch(seed, size=14, classes=4, dim=5, dtype=torch.float64):
    """Random points and labels; classes of unequal sizes."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dim, generator=generator, dtype=dtype)
    return points, torch.randint(0, classes, (size,), generator=generator)


def balanced(seed, classes=5, images=4, dim=6, dtype=torch.float64):
    """Random points, the images of one class together."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(classes * images, dim, generator=generator, dtype=dtype)
    return points, torch.arange(classes).repeat_interleave(images)


def check_gradient(loss, seed=0):
    points, labels = batch(seed)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (points.requires_grad_(),))


def check_order_of_the_batch(loss):
    points, labels = batch(1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(points[order], labels[order]), loss(points, labels))


def check_names_of_the_classes(loss):
    points, labels = batch(2)
    torch.testing.assert_close(loss(points, 7 - 3 * labels), loss(points, labels))


def check_dtype(loss):
    for dtype in (torch.float32, torch.float64):
        assert loss(*batch(0, dtype=dtype)).dtype == dtype
    points, labels = batch(0)
    half = loss(points.bfloat16(), labels)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(loss(points.bfloat16().double(), labels).item(), rel=1e-5)


def check_autocast(loss):
    """Distances are taken in float32 whatever the caller's autocast says."""
    points, labels = batch(0, dtype=torch.float32)
    wanted = loss(points, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(points, labels), wanted)


def check_identical_images(loss, labels=(0, 0, 1, 1)):
    """All points the same, and all points zero: finite numbers everywhere."""
    for points in (torch.ones(len(labels), 3), torch.zeros(len(labels), 3)):
        points.requires_grad_()
        value = loss(points, torch.tensor(labels))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(points.grad).all()


def check_nothing_to_mine(loss, *, one_class=True, one_image=True):
    """0 and a gradient of 0 for a batch of one class, of one image a class, of one image."""
    cases = [[0]] + [[0, 0, 0, 0]] * one_class + [[0, 1, 2, 3]] * one_image
    for labels in cases:
        points = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
        value = loss(points, torch.tensor(labels))
        value.backward()
        assert value.item() == 0.0
        assert torch.equal(points.grad, torch.zeros_like(points))


def check_bad_shapes(loss):
    for points, labels, message in [
        (torch.zeros(3, 2), torch.zeros(2).long(), r"labels are \(2,\); need \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3), "need integers"),
        (torch.zeros(3, 2, 1), torch.zeros(3).long(), r"need floating point of shape \(B, D\)"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), r"need floating point of shape \(B, D\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            loss(points, labels)
