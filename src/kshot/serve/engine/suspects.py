"""Finds taught examples that cause errors: each is recognised by its own gallery without it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kshot.classifiers.prototype import prototype_scores
from kshot.serve.engine.gallery_state import GalleryState
from kshot.serve.engine.recognition import recognise
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.messages.refusals import Refused

MOST = 500  # examples of a gallery that a classifier other than the nearest prototype predicts one by one
AT_ONCE = 64


@dataclass(frozen=True)
class SuspectExample:
    """An example that is taken for another class; `probability` of that class."""

    id: int
    class_name: str
    taken_for: str
    probability: float


@dataclass(frozen=True)
class LeftOneOut:
    """suspects: by probability, the surest first; tested: examples whose class has another one."""

    suspects: list[SuspectExample]
    tested: int


def leave_one_out(version: ServedVersion, state: GalleryState) -> LeftOneOut:
    """Classify each example of a class with two or more without itself. Raises Refused for too large a gallery."""
    tested, found = predictions_without_each(version, state)
    wrong = [
        SuspectExample(int(state.ids[place]), state.class_names[state.labels[place]], state.class_names[best], share)
        for place, (best, share) in zip(tested, found, strict=True)
        if best != state.labels[place]
    ]
    return LeftOneOut(sorted(wrong, key=lambda one: (-one.probability, one.id)), len(tested))


def predictions_without_each(
    version: ServedVersion, state: GalleryState
) -> tuple[NDArray[np.int64], list[tuple[int, float]]]:
    """The places of the examples of a class with two or more, and for each the class that the gallery without it
    predicts, with its probability. Raises Refused for a gallery too large to ask one by one.
    """
    if len(state.class_names) < 2:
        return np.empty(0, dtype=np.int64), []
    shots = np.bincount(state.labels, minlength=len(state.class_names))
    tested = np.flatnonzero(shots[state.labels] > 1)
    if version.classifier is prototype_scores and version.has_fixed_embedding:
        return tested, _by_prototypes(version, state, tested, shots)
    if len(tested) > MOST:
        raise Refused(
            409,
            "gallery_too_large",
            f"{version.model.inference.by} would predict {len(tested):,} times; needs a gallery of at most {MOST} "
            "examples, or a model that classifies by prototypes",
        )
    return tested, [_one_by_one(version, state, int(place)) for place in tested]


def _by_prototypes(
    version: ServedVersion, state: GalleryState, tested: NDArray[np.int64], shots: NDArray[np.int64]
) -> list[tuple[int, float]]:
    """The best class of each example and its probability: the own class's mean moves, all others stay."""
    found = []
    for start in range(0, len(tested), AT_ONCE):
        places = tested[start : start + AT_ONCE]
        points, own = state.points[places].astype(np.float64), state.labels[places]
        squared = state.mean_index.squared_distances(state.points[places]).astype(np.float64)
        count = shots[own].astype(np.float64)
        # Without x, the mean of k points is (k * mean - x) / (k - 1), k / (k - 1) times as far from x.
        apart = np.square(points - state.means[own]).sum(1)
        squared[np.arange(len(places)), own] = apart * np.square(count / (count - 1))
        scores = (squared.min(1, keepdims=True) - squared) / version.temperature(state)
        shares = np.exp(scores)
        shares /= shares.sum(1, keepdims=True)
        best = shares.argmax(1)
        found += list(zip(best.tolist(), shares[np.arange(len(places)), best].tolist(), strict=True))
    return found


def _one_by_one(version: ServedVersion, state: GalleryState, place: int) -> tuple[int, float]:
    rest = np.delete(np.arange(len(state.ids)), place)
    without = replace(
        state,
        ids=state.ids[rest],
        images=tuple(state.images[one] for one in rest),
        labels=state.labels[rest],
        points=state.points[rest],
    )
    (found,) = recognise(version, without, state.points[place : place + 1], n_next=0, n_nearest=0)
    assert found.probability is not None
    return state.class_names.index(found.label), found.probability
