"""One revision of a gallery, embedded by one model: it never changes, so a request that holds it sees one state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kshot.classifiers import CENTRED, COSINE, EUCLIDEAN
from kshot.distances import unit_length
from kshot.serve.engine.index import Index, class_means, index_of
from kshot.serve.store.galleries import GalleryRow

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GalleryState:
    """gallery      its row, with the revision
    class_names  sorted
    ids          (N,), of the examples
    images       (N,), their sha256
    labels       int64 (N,), their places in `class_names`
    points       float32 (N, D), their embeddings, or their pixels for methods without a fixed embedding
    centre       (D,), the mean embedding of the model's training images
    distance     by which the model compares, one of `kshot.evaluation.mean_distance`
    """

    gallery: GalleryRow
    class_names: tuple[str, ...]
    ids: NDArray[np.int64]
    images: tuple[str, ...]
    labels: NDArray[np.int64]
    points: Array
    centre: Array
    distance: str = EUCLIDEAN

    @property
    def shots(self) -> float:
        """The mean number of examples a class."""
        return len(self.ids) / len(self.class_names)

    @cached_property
    def means(self) -> Array:
        """The mean of each class: (C, D)."""
        if self.one_each:
            return self.points
        return class_means(self.points, self.labels, len(self.class_names))

    @cached_property
    def mean_index(self) -> Index:
        """For the model's distance to each class's mean."""
        return self.cosine_index if self.distance == COSINE else index_of(self.means, self.unit)

    @cached_property
    def cosine_index(self) -> Index:
        """For the cosine to each class's mean."""
        return index_of(self.means, unit_rows)

    @cached_property
    def example_index(self) -> Index:
        """For the model's distance to each example."""
        return index_of(self.points, self.unit)

    @property
    def unit(self) -> Callable[[Array], Array] | None:
        """How a search by `distance` brings points to unit length."""
        by_name = {EUCLIDEAN: None, COSINE: unit_rows, CENTRED: partial(centred, centre=self.centre)}
        return by_name[self.distance]

    def distances(self, squared: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The model's distances, from the squared ones that `mean_index` and `example_index` return."""
        exact = squared.astype(np.float64)
        return np.sqrt(exact) if self.distance == EUCLIDEAN else exact / 2

    @cached_property
    def simple_shot_index(self) -> Index:
        """For the scores of SimpleShot: class means of centred points of unit length."""
        return index_of(class_means(centred(self.points, self.centre), self.labels, len(self.class_names)))

    @cached_property
    def one_each(self) -> bool:
        """Whether each class has one example, in the order of the classes, so that means and examples are the same."""
        return len(self.ids) == len(self.class_names) and bool((self.labels == np.arange(len(self.labels))).all())

    def examples_of(self, place: int) -> NDArray[np.int64]:
        """The places of a class's examples."""
        return np.flatnonzero(self.labels == place)


def gallery_state(
    gallery: GalleryRow, rows: Sequence[tuple[int, str, str]], points: Array, centre: Array, distance: str = EUCLIDEAN
) -> GalleryState:
    """The state of examples `rows` (id, class, image's sha256), with their points in the same order."""
    names = sorted({name for _, name, _ in rows})
    places = {name: place for place, name in enumerate(names)}
    labels = np.array([places[name] for _, name, _ in rows], dtype=np.int64)
    order = np.lexsort([np.array([number for number, _, _ in rows], dtype=np.int64), labels])
    return GalleryState(
        gallery,
        tuple(names),
        np.array([rows[row][0] for row in order], dtype=np.int64),
        tuple(rows[row][2] for row in order),
        labels[order],
        np.ascontiguousarray(points[order]),
        centre,
        distance,
    )


def centred(points: Array, centre: Array) -> Array:
    """Points (N, D) minus `centre`, at unit length ("CL2N", Wang et al. 2019, section 3.1)."""
    return unit_rows(points - centre)


def unit_rows(points: Array) -> Array:
    """Points (N, D) at unit length; a row of zeros stays zeros."""
    found: Array = unit_length(torch.from_numpy(points)).numpy()
    return found
