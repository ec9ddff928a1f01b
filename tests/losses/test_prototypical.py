import math

import pytest
import torch

from kshot.losses import prototypical_loss


def test_numbers_by_hand():
    # Prototypes at 0 and 2, a query of class 7 at 0: squared distances 0 and 4.
    support, query = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0]])
    loss = prototypical_loss(support, torch.tensor([7, 3, 3]), query, torch.tensor([7]))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-5)


def test_equals_a_loop_over_queries():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([5, 5, 9, 9, 9, 2, 2, 2, 2])
    query = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    truth = torch.tensor([2, 5, 9, 9, 2, 5])
    total = 0.0
    for q, t in zip(query, truth.tolist(), strict=True):
        weights = {c: math.exp(-float(((q - support[labels == c].mean(0)) ** 2).sum())) for c in (2, 5, 9)}
        total -= math.log(weights[t] / sum(weights.values()))
    assert prototypical_loss(support, labels, query, truth).item() == pytest.approx(total / 6, rel=1e-12)


def test_gradient_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(1)
    support = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    query = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    assert torch.autograd.gradcheck(lambda s, q: prototypical_loss(s, labels, q, labels), (support, query))


def test_identical_images_give_a_finite_gradient():
    support, query = torch.ones(4, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    loss = prototypical_loss(support, labels, query, labels)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert torch.isfinite(support.grad).all() and torch.isfinite(query.grad).all()


def test_no_query_gives_zero():
    support = torch.ones(2, 3, requires_grad=True)
    loss = prototypical_loss(support, torch.tensor([0, 1]), torch.ones(0, 3), torch.ones(0).long())
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype):
    points, labels = torch.eye(2, dtype=dtype), torch.tensor([0, 1])
    assert prototypical_loss(points, labels, points, labels).dtype == dtype


def test_a_query_without_support_is_named():
    points = torch.eye(2)
    with pytest.raises(ValueError, match=r"query labels \[8\] have no support"):
        prototypical_loss(points, torch.tensor([0, 1]), points, torch.tensor([0, 8]))
