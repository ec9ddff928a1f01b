import math

import numpy as np
import pytest
import scipy.stats
import torch

from kshot.evaluation import space
from kshot.evaluation.space import effective_rank, geometry, project, random_classes


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
    unit = torch.nn.functional.normalize(points.double(), dim=1)
    everyone = range(len(labels))
    pairs = [(i, j) for i in everyone for j in everyone if i != j]
    square = {(i, j): (unit[i] - unit[j]).square().sum().item() for i, j in pairs}
    violated = [
        distance[a, n] < distance[a, p]
        for a, p in pairs
        for n in everyone
        if labels[a] == labels[p] and labels[n] != labels[a]
    ]
    values = torch.linalg.svdvals(points.double() - points.double().mean(0))
    share = values / values.sum()
    seen = [0] * len(labels)
    for i in everyone:
        for j in sorted((j for j in everyone if j != i), key=lambda j: distance[i, j].item())[:10]:
            seen[j] += 1
    return {
        "within": mean(within),
        "between": mean(between),
        "ratio": mean(within) / mean(between),
        "violations": mean([float(one) for one in violated]),
        "alignment": mean([square[i, j] for i, j in pairs if labels[i] == labels[j]]),
        "uniformity": math.log(mean([math.exp(-2 * value) for value in square.values()])),
        "effective_rank": math.exp(-sum(p * math.log(p) for p in share.tolist() if p > 0)),
        "hubness": scipy.stats.skew(seen),
        "map_at_r": mean(precision),
        "recall_at_1": mean(nearest),
    }


@pytest.mark.parametrize("block", [4, 7, 1024])
def test_equals_the_definitions_whatever_the_block(block):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (30,), generator=generator)
    labels[0] = 9  # a class of one
    points = torch.randn(30, 4, generator=generator) + labels[:, None]
    assert geometry(points, labels, block)._asdict() == pytest.approx(by_loops(points, labels), rel=1e-5)


def test_more_images_are_compared_in_smaller_blocks(monkeypatch):
    monkeypatch.setattr(space, "PAIRS", 90)
    seen = []
    compare = space.squared_euclidean
    monkeypatch.setattr(space, "squared_euclidean", lambda a, b: seen.append(len(a) * len(b)) or compare(a, b))
    points, labels = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) // 3
    assert geometry(points, labels)._asdict() == pytest.approx(by_loops(points, labels), rel=1e-5)
    assert max(seen) <= 90


def test_random_classes_are_whole_and_within_the_limit_and_the_same_at_each_call():
    members = [np.arange(place * 10, place * 10 + 10) for place in range(50)]
    found = random_classes(members, 95)
    assert len(found) == 9 and all(len(ids) == 10 and ids[0] % 10 == 0 for ids in found)
    assert np.array_equal(found, random_classes(members, 95))
    assert [len(ids) for ids in random_classes([np.arange(1000), np.arange(1000)], 100)] == [50, 50]


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


def test_points_on_a_line_use_one_direction_and_those_of_a_simplex_all():
    assert effective_rank(torch.arange(5.0)[:, None] * torch.ones(5, 3)) == pytest.approx(1)
    assert effective_rank(torch.eye(6)) == pytest.approx(5)
    assert math.isnan(effective_rank(torch.ones(4, 2)))


def test_the_projection_keeps_the_widest_directions():
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(50, 2, generator=generator) * torch.tensor([5.0, 2.0])
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q[:2]
    plane = project(wide @ turn)
    assert plane.var(0)[0] > plane.var(0)[1]
    torch.testing.assert_close(torch.pdist(plane), torch.pdist(wide), rtol=1e-3, atol=1e-3)


def test_one_dimension_still_gives_a_plane():
    assert project(torch.randn(5, 1)).shape == (5, 2)


@pytest.mark.parametrize("offset", [10.0, 1e3, 1e4])
def test_figures_far_from_the_origin_are_those_of_float64(offset):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(6).repeat_interleave(10)
    points = torch.randn(60, 16, generator=generator) + torch.randn(6, 16, generator=generator)[labels] + offset
    found, wanted = geometry(points, labels)._asdict(), geometry(points.double(), labels)._asdict()
    for name in ("within", "between", "violations", "effective_rank", "hubness", "map_at_r", "recall_at_1"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-4), name
    plane = project(points)
    torch.testing.assert_close(torch.pdist(plane), torch.pdist(project(points.double()).float()), rtol=1e-3, atol=1e-2)
