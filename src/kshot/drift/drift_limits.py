"""The limit of each measure, from its values in samples of held-out images, and which measures are beyond it.

The limits of all measures are set together: each at `median + factor * (high - median)` of the drawn samples, where
high is their 95 % quantile. One factor for all measures is chosen so that the share FALSE_ALARMS of the drawn samples
is beyond any limit (the step-down idea of Westfall and Young 1993, with one step). A limit is never lower than the
smallest difference worth reporting (FLOORS).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FALSE_ALARMS = 0.01  # share of held-out samples that any measure may call drifted
HIGH = 0.95  # their quantile that a measure is scaled by
# Differences too small to report, whatever the statistics: in octaves, shares of the range, and shares of the median.
FLOORS = {
    "size": 0.1,
    "brightness": 0.02,
    "contrast": 0.02,
    "clipped": 0.05,
    "sharpness": 0.2,
    "distance": 0.03,
    "unknown": 0.05,
}


class Measure(NamedTuple):
    """One measure of a new sample.

    statistic  of the new sample
    median     of the held-out samples
    limit      beyond which the sample has drifted
    chance     share of the held-out samples and the new one that are at least as far
    """

    name: str
    statistic: float
    median: float
    limit: float
    chance: float

    @property
    def drifted(self) -> bool:
        return self.statistic > self.limit


def judge(found: dict[str, float], drawn: Sequence[dict[str, float]]) -> list[Measure]:
    """The measures of a new sample, with limits from the statistics of held-out samples."""
    names = [name for name in found if all(name in one for one in drawn)]
    table = np.array([[one[name] for name in names] for one in drawn])
    floors = np.array([FLOORS.get(name, 0.0) for name in names])
    median = np.median(table, 0)
    # Measures that hardly vary are scaled by their floor, so that rounding errors do not determine all limits.
    scale = np.maximum(np.quantile(table, HIGH, axis=0) - median, np.maximum(floors, np.finfo(np.float64).tiny))
    factor = max(1.0, float(np.quantile(((table - median) / scale).max(1), 1 - FALSE_ALARMS)))
    limits = median + factor * scale
    measures = []
    for place, name in enumerate(names):
        beyond = int((table[:, place] >= found[name]).sum())
        measures.append(
            Measure(name, found[name], float(median[place]), float(limits[place]), (beyond + 1) / (len(table) + 1))
        )
    return measures
