"""Groups embedded images that are near one another."""

import numpy as np
from numpy.typing import NDArray


def clusters(points: NDArray[np.float32], radius: float) -> list[list[int]]:
    """The places of points (N, D) in groups, the largest first, and in each group in their order.

    Average linkage (Sokal and Michener 1958): two groups become one while the mean distance between their points is at
    most `radius`, the nearest groups first. O(N^2) memory.

    >>> clusters(np.array([[0.0], [9.0], [1.0], [20.0]], dtype=np.float32), 2.0)
    [[0, 2], [1], [3]]
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(points) < 2:
        return [[place] for place in range(len(points))]
    labels = fcluster(linkage(points.astype(np.float64), "average"), radius, criterion="distance")
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(place)
    return sorted(groups.values(), key=lambda group: (-len(group), group))
