import math

import pytest
import torch

from kshot.geometry import geometry, project


def by_loops(points, labels):
    """The definitions, image by image."""
    distance = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    within, between, precision, nearest = [], [], [], []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i]
        within += [distance[i, j].item() for j in others if labels[j] == labels[i]]
        between += [distance[i, j].item() for j in others if labels[j] != labels[i]]
        ranked = sorted(others, key=lambda j: distance[i, j].item())
        hits = [int(labels[j] == labels[i]) for j in ranked]
        r = sum(hits)
        if r:
            precision.append(sum(hits[k] * sum(hits[: k + 1]) / (k + 1) for k in range(r)) / r)
            nearest.append(hits[0])
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    return mean(within), mean(between), mean(within) / mean(between), mean(precision), mean(nearest)


@pytest.mark.parametrize("block", [4, 7, 1024])
def test_equals_the_definitions_whatever_the_block(block):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (30,), generator=generator)
    labels[0] = 9  # a class of one
    points = torch.randn(30, 4, generator=generator) + labels[:, None]
    assert geometry(points, labels, block) == pytest.approx(by_loops(points, labels), rel=1e-6)


def test_numbers_by_hand():
    points, labels = torch.tensor([[0.0], [1.0], [10.0], [12.0]]), torch.tensor([0, 0, 1, 1])
    figures = geometry(points, labels)
    assert figures.within == pytest.approx(1.5)
    assert figures.between == pytest.approx((10 + 12 + 9 + 11) / 4)
    assert figures.map_at_r == figures.recall_at_1 == 1.0


def test_one_class_has_no_distance_between():
    figures = geometry(torch.eye(3), torch.zeros(3).long())
    assert math.isnan(figures.between) and math.isnan(figures.ratio)
    assert figures.map_at_r == 1.0


def test_the_projection_keeps_the_widest_directions():
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(50, 2, generator=generator) * torch.tensor([5.0, 2.0])
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q[:2]
    plane = project(wide @ turn)
    assert plane.var(0)[0] > plane.var(0)[1]
    torch.testing.assert_close(torch.cdist(plane, plane), torch.cdist(wide, wide), rtol=1e-3, atol=1e-3)


def test_one_dimension_still_gives_a_plane():
    assert project(torch.randn(5, 1)).shape == (5, 2)
