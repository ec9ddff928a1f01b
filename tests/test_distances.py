import pytest
import torch

from kshot.distances import euclidean, order_of_rows, squared_euclidean


def test_numbers_by_hand():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    y = torch.tensor([[0.0, 0.0], [6.0, 8.0], [0.0, 1.0]])
    assert squared_euclidean(x, y).tolist() == [[0.0, 100.0, 1.0], [25.0, 25.0, 18.0]]
    assert euclidean(x, y)[1, 1].item() == 5.0


def test_leading_dimensions_are_batches():
    x, y = torch.randn(4, 3, 8), torch.randn(4, 5, 8)
    expected = torch.stack([squared_euclidean(a, b) for a, b in zip(x, y, strict=True)])
    assert torch.equal(squared_euclidean(x, y), expected)


def test_near_points_far_from_the_origin_keep_their_distance():
    x = torch.full((1, 64), 100.0)
    y = x + 0.001
    wanted = ((y.double() - x.double()) ** 2).sum()
    assert squared_euclidean(x, y).item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize("distance", [squared_euclidean, euclidean])
def test_gradient_at_distance_zero_is_finite(distance):
    x = torch.ones(3, 4, requires_grad=True)
    distance(x, x).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3, 4))


@pytest.mark.parametrize("distance", [squared_euclidean, euclidean])
def test_gradient_agrees_with_finite_differences(distance):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distance, (x, y))


def test_autocast_does_not_reach_distances():
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = squared_euclidean(x, x.flip(0))
    assert inside.dtype == torch.float32
    assert torch.equal(inside, squared_euclidean(x, x.flip(0)))


def test_float64_stays_and_half_becomes_float32():
    assert squared_euclidean(torch.zeros(1, 2).double(), torch.zeros(1, 2).double()).dtype == torch.float64
    assert squared_euclidean(torch.zeros(1, 2).bfloat16(), torch.zeros(1, 2).bfloat16()).dtype == torch.float32


def test_rows_are_ordered_as_their_distances():
    points = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 100
    found = order_of_rows(points)
    assert torch.equal(found.argsort(1), squared_euclidean(points, points).argsort(1))
    assert order_of_rows(points.bfloat16()).dtype == torch.float32
