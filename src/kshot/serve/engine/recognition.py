"""Recognises embedded images in one state of a gallery, and verifies one of a class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kshot.serve.engine.gallery_state import GalleryState
from kshot.serve.engine.index import LEAST_EXACT, index_of, nearest
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.messages.refusals import Refused, empty_gallery, unknown_class

Array = NDArray[np.float32]
SORTED_AT_ONCE = 256  # so few values are sorted in less time than their smallest are found


@dataclass(frozen=True)
class NearExample:
    id: int
    class_name: str
    distance: float


@dataclass(frozen=True)
class Recognition:
    """The prediction for one image; fields as in `recognise_messages.Result`.

    classes   (class, probability) of the most probable classes, `label` first
    margin    difference of the two highest probabilities; None for one class
    smallest  distance to the nearest class mean, which decides on `unknown`; None without a fixed embedding
    """

    label: str
    probability: float | None
    distance: float | None
    smallest: float | None
    threshold: float | None
    unknown: bool | None
    nearest: tuple[NearExample, ...]
    classes: tuple[tuple[str, float | None], ...]
    margin: float | None


@dataclass(frozen=True)
class Verification:
    """The prediction for one image and one class; fields as in `recognise_messages.VerifyResponse`."""

    same: bool | None
    best: str
    unknown: bool | None
    probability: float | None
    distance: float | None
    threshold: float | None
    nearest: tuple[NearExample, ...]


def recognise(
    version: ServedVersion, state: GalleryState, query: Array, *, n_next: int = 3, n_nearest: int = 3
) -> list[Recognition]:
    """One recognition for each row of `query` (Q, D). Raises Refused for an empty gallery."""
    _require_examples(state)
    names, threshold = state.class_names, version.threshold(state)
    n_classes, wanted = len(names), min(len(names), max(2, n_next + 1))
    squared = version.squared_distances(state, query)
    shares = _shares(version, state, query, squared)
    order = _first(-shares, wanted)
    near = _near(version, state, query, n_nearest, squared)
    found = []
    for row, places in enumerate(order):
        share = [float(shares[row, place]) if n_classes > 1 else None for place in places]
        # Distances of the few that are returned: of 100,000 classes they would take as long as the search.
        smallest = None if squared is None else _distance(state, squared[row].min())
        found.append(
            Recognition(
                label=names[places[0]],
                probability=share[0],
                distance=None if squared is None else _distance(state, squared[row, places[0]]),
                smallest=smallest,
                threshold=threshold,
                unknown=_is_unknown(smallest, threshold),
                nearest=near[row],
                classes=tuple((names[place], share[at]) for at, place in enumerate(places))[: n_next + 1],
                margin=share[0] - share[1] if n_classes > 1 and share[0] is not None and share[1] is not None else None,
            )
        )
    return found


def verify(
    version: ServedVersion, state: GalleryState, query: Array, class_name: str, *, n_nearest: int = 3
) -> Verification:
    """Whether the image `query` (1, D) is of a class. Raises Refused for an empty gallery and an unknown class.

    It is if `recognise` gives the image this class and does not call it unknown.
    """
    _require_examples(state)
    if class_name not in state.class_names:
        raise unknown_class(state.gallery.name, class_name)
    place, threshold = state.class_names.index(class_name), version.threshold(state)
    squared = version.squared_distances(state, query)
    shares = _shares(version, state, query, squared)[0]
    best, single = int(shares.argmax()), len(state.class_names) == 1
    distance = None
    near: tuple[NearExample, ...] = ()
    if version.has_fixed_embedding:
        of_class = index_of(state.means[place : place + 1], state.unit)
        distance = _distance(state, of_class.squared_distances(query)[0, 0])
        near = _near_of_class(state, query, place, n_nearest)
    unknown = _is_unknown(None if squared is None else _distance(state, squared[0].min()), threshold)
    return Verification(
        same=(None if unknown is None else not unknown) if single else (best == place and not unknown),
        best=state.class_names[best],
        unknown=unknown,
        probability=None if single else float(shares[place]),
        distance=distance,
        threshold=threshold,
        nearest=near,
    )


def _distance(state: GalleryState, squared: np.float32) -> float:
    return float(state.distances(np.asarray(squared)))


def _is_unknown(smallest: float | None, threshold: float | None) -> bool | None:
    return None if threshold is None or smallest is None else smallest > threshold


def _require_examples(state: GalleryState) -> None:
    if not len(state.ids):
        raise empty_gallery(state.gallery.name)


def _shares(version: ServedVersion, state: GalleryState, query: Array, squared: Array | None) -> NDArray[np.float64]:
    """The probability of each class: float64 (Q, C), rows sum to 1."""
    if len(state.class_names) == 1:
        return np.ones((len(query), 1))
    scores = version.scores(state, query, squared).astype(np.float64)
    if not np.isfinite(scores).all():
        raise Refused(409, "cannot_predict", f"{version.model.inference.by} gives scores for this that are no numbers")
    scores -= scores.max(1, keepdims=True)
    scores /= version.temperature(state)
    np.exp(scores, out=scores)
    shares: NDArray[np.float64] = scores / scores.sum(1, keepdims=True)
    return shares


def _first(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The places of the `count` smallest values of each row, smallest first."""
    if values.shape[1] <= SORTED_AT_ONCE:
        return np.argsort(values, axis=1, kind="stable")[:, :count]
    places = nearest(values, count)
    order = np.argsort(np.take_along_axis(values, places, 1), axis=1, kind="stable")
    return np.take_along_axis(places, order, 1)


def _near(
    version: ServedVersion, state: GalleryState, query: Array, count: int, to_means: Array | None
) -> list[tuple[NearExample, ...]]:
    if not version.has_fixed_embedding or not count:
        return [()] * len(query)
    count = min(count, len(state.ids))
    if state.one_each and to_means is not None and count <= LEAST_EXACT:
        squared = to_means  # each mean is an example: they were searched already
    else:
        index = state.mean_index if state.one_each else state.example_index
        squared = index.squared_distances(query, exact=count)
    return [
        tuple(_example(state, place, _distance(state, squared[row, place])) for place in places)
        for row, places in enumerate(_first(squared, count).tolist())
    ]


def _near_of_class(state: GalleryState, query: Array, place: int, count: int) -> tuple[NearExample, ...]:
    places = state.examples_of(place)
    of_class = index_of(state.points[places], state.unit)
    distances = state.distances(of_class.squared_distances(query, exact=count)[0])
    order = np.argsort(distances, kind="stable")[:count]
    return tuple(_example(state, int(places[at]), float(distances[at])) for at in order)


def _example(state: GalleryState, place: int, distance: float) -> NearExample:
    return NearExample(int(state.ids[place]), state.class_names[int(state.labels[place])], distance)
