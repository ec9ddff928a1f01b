import numpy as np
import pytest

from kshot.serve.engine.index import FEW_NUMBERS, class_means, index_of


@pytest.mark.parametrize("count", [300, 3000])  # few numbers and more
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_distances_are_those_of_a_slow_loop_also_far_from_the_origin(offset: float, count: int) -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(count, 8)) + offset).astype(np.float32)
    assert (points.size <= FEW_NUMBERS) == (count == 300)
    query = points[:5] + np.float32(0.125)
    slow = np.array(
        [[sum((a - b) ** 2 for a, b in zip(q, p, strict=True)) for p in points.tolist()] for q in query.tolist()]
    )
    found = index_of(points).squared_distances(query)
    assert found == pytest.approx(slow, rel=1e-3)
    assert np.array_equal(found.argmin(1), slow.argmin(1))
    # The nearest are computed from the differences.
    assert found.min(1) == pytest.approx(slow.min(1), rel=2e-3 if offset else 1e-6)


def test_class_means_are_of_any_order_of_labels() -> None:
    points = np.array([[0, 0], [4, 2], [2, 2], [9, 9]], dtype=np.float32)
    means = class_means(points, np.array([1, 0, 1, 2]), 3)
    assert means.tolist() == [[4, 2], [1, 1], [9, 9]]
