"""Exact search: the squared Euclidean distance of a few queries to very many points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LEAST_EXACT = 16  # nearest points whose distance is computed from the differences
COLUMNS = 128  # of all points, added up at once in float64
FEW_NUMBERS = 2**14  # of all points together: then every distance is computed from the differences, in less time


@dataclass(frozen=True, eq=False)
class Index:
    """points (M, D) float32, less `middle` (D,), their mean, so that far from the origin no digits are lost.

    squared (M,) float32: their squared lengths.
    unit: brings points to unit length for a search by cosine, where a squared distance is 2 - 2 cos; None for a search
    by Euclidean distance. zeros: the places of points of length zero, at a cosine of 0 from every query.
    """

    points: Array
    middle: Array
    squared: Array
    unit: Callable[[Array], Array] | None
    zeros: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)

    def squared_distances(self, query: Array, exact: int = 0) -> Array:
        """(Q, M) float32 for query (Q, D).

        One product in float32 finds them all; for the `exact` nearest, or LEAST_EXACT, they are computed again from the
        differences, because the product loses the digits that near points share.
        """
        if self.unit is None:
            return self._squared(query, exact)
        query = self.unit(query)
        found = self._squared(query, exact)
        found[:, self.zeros] = 2
        found[~query.any(1)] = 2
        return found

    def _squared(self, query: Array, exact: int) -> Array:
        centred = query - self.middle
        if self.points.size <= FEW_NUMBERS:
            differences = centred[:, None].astype(np.float64) - self.points
            all_exact: Array = np.square(differences).sum(2).astype(np.float32)
            return all_exact
        found = centred @ self.points.T
        found *= -2
        found += self.squared
        found += np.square(centred).sum(1, keepdims=True)
        near = min(len(self), max(exact, LEAST_EXACT))
        places = nearest(found, near) if near < len(self) else np.tile(np.arange(len(self)), (len(query), 1))
        differences = centred[:, None].astype(np.float64) - self.points[places]
        np.put_along_axis(found, places, np.square(differences).sum(2).astype(np.float32), 1)
        return np.maximum(found, 0, out=found)


def index_of(points: Array, unit: Callable[[Array], Array] | None = None) -> Index:
    """The index of points (M, D), by Euclidean distance, or by cosine with a function `unit` as in `Index`."""
    points = points.copy() if unit is None else unit(points)
    zeros = np.flatnonzero(~points.any(1)) if unit is not None else np.empty(0, np.int64)
    middle = points.mean(0, dtype=np.float64).astype(np.float32)
    points -= middle
    squared = np.einsum("md,md->m", points, points, dtype=np.float64).astype(np.float32)
    return Index(points, middle, squared, unit, zeros)


def nearest(squared: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The places of the `count` smallest values of each row, in no order: (Q, count)."""
    if count >= squared.shape[1]:
        return np.tile(np.arange(squared.shape[1]), (len(squared), 1))
    return np.argpartition(squared, count - 1, axis=1)[:, :count]


def class_means(points: Array, labels: NDArray[np.int64], n_classes: int) -> Array:
    """The mean of each class's points: (C, D). labels (N,) in [0, C), every class present."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=n_classes)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.empty((n_classes, points.shape[1]), np.float32)
    for start in range(0, points.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        means[:, part] = np.add.reduceat(points[order, part], starts, axis=0, dtype=np.float64) / counts[:, None]
    return means
