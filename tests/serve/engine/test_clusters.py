import numpy as np
import pytest

from kshot.serve.engine.clusters import clusters


def test_groups_are_those_of_a_slow_average_linkage() -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(40, 6)) + 6 * rng.integers(0, 4, (40, 1))).astype(np.float32)
    groups = [[place] for place in range(len(points))]
    apart = np.sqrt(np.square(points[:, None].astype(np.float64) - points).sum(2))
    while len(groups) > 1:
        pairs = [(apart[np.ix_(a, b)].mean(), i, j) for i, a in enumerate(groups) for j, b in enumerate(groups[:i])]
        mean, i, j = min(pairs)
        if mean > 5.0:
            break
        groups[j] += groups.pop(i)
    expected = sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group))
    found = clusters(points, 5.0)
    assert found == expected and 1 < len(found) < 40


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one_need_no_distances(count: int) -> None:
    assert clusters(np.zeros((count, 3), dtype=np.float32), 1.0) == [[0]][:count]
