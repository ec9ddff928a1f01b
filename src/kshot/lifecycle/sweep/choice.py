"""Chooses the best trial by its validation accuracy, and compares every other trial with it episode by episode."""

from collections.abc import Sequence
from dataclasses import dataclass

from kshot.lifecycle.sweep.trial_result import TrialResult
from kshot.lifecycle.sweep.trials import Trial
from kshot.statistics import Interval, holm, mean_interval, paired_difference, probability_beyond

BEST, SAME, SAME_BY_HOLM, WORSE = "best", "no difference", "no difference after Holm", "worse"
LEVEL = 0.05


@dataclass(frozen=True)
class Compared:
    """A finished trial among the others.

    accuracy    over the validation episodes
    difference  accuracy minus the best trial's, paired by episode; None for the best
    verdict     BEST, SAME if the interval of the difference contains 0, SAME_BY_HOLM if only Holm's correction for the
                number of trials says so, or WORSE
    """

    trial: Trial
    result: TrialResult
    accuracy: Interval
    difference: Interval | None
    verdict: str


def compare(finished: Sequence[tuple[Trial, TrialResult]]) -> tuple[Compared, ...]:
    """The finished trials, best first; of equal accuracies the first in the file. Empty if none has finished.

    All must have predicted the same episodes.
    """
    if not finished:
        return ()
    accuracies = {trial.number: mean_interval(result.accuracies) for trial, result in finished}
    (best, top), *others = sorted(finished, key=lambda one: (-accuracies[one[0].number].mean, one[0].number))
    differences = [paired_difference(result.accuracies, top.accuracies) for _, result in others]
    adjusted = holm([probability_beyond(one, 0.0, len(top.accuracies)) for one in differences])
    rows = [Compared(best, top, accuracies[best.number], None, BEST)]
    for (trial, result), difference, chance in zip(others, differences, adjusted, strict=True):
        rows.append(Compared(trial, result, accuracies[trial.number], difference, verdict(difference, chance)))
    return tuple(rows)


def verdict(difference: Interval, adjusted: float) -> str:
    """The verdict on a difference from the best, with Holm's adjusted probability. NaN ends decide nothing."""
    if not difference.high < 0:
        return SAME
    return WORSE if adjusted < LEVEL else SAME_BY_HOLM
