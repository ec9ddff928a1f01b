"""Leave-one-out: each example of a gallery asked of the gallery without it, by the distance to the class means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kshot.serve.engine.gallery_state import GalleryState

AT_ONCE = 4096  # examples whose distances to all classes are in memory together


@dataclass(frozen=True)
class LeftOut:
    """places     (T,), of the tested examples: those whose class has another example
    predicted  (T,), the class of each without it, as a place in `class_names`
    squared    (T, C) float64, to the mean of each class without the example
    """

    places: NDArray[np.int64]
    predicted: NDArray[np.int64]
    squared: NDArray[np.float64]


def leave_one_out(state: GalleryState) -> list[LeftOut]:
    """The predictions for every tested example, in parts of AT_ONCE. The mean of a class lacks the example asked.

    Of n points with mean m, the mean without point p is m + (m - p) / (n - 1), which is n / (n - 1) times as far from
    p as m is.
    """
    counts = np.bincount(state.labels, minlength=len(state.class_names)).astype(np.float64)
    tested = np.flatnonzero(counts[state.labels] > 1)
    parts = []
    for start in range(0, len(tested), AT_ONCE):
        places = tested[start : start + AT_ONCE]
        labels, rows = state.labels[places], np.arange(len(places))
        squared = state.mean_index.squared_distances(state.points[places]).astype(np.float64)
        own = np.square(state.points[places].astype(np.float64) - state.means[labels]).sum(1)
        squared[rows, labels] = own * np.square(counts[labels] / (counts[labels] - 1))
        parts.append(LeftOut(places, squared.argmin(1), squared))
    return parts
