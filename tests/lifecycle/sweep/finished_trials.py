"""Trials with results written by hand: input for the choice, its text and its page."""

from collections.abc import Sequence

from kshot.lifecycle.sweep.choice import compare
from kshot.lifecycle.sweep.sweep import Failed, Sweep
from kshot.lifecycle.sweep.trial_result import TrialResult
from kshot.lifecycle.sweep.trials import Trial


def trial(number: int, *sets: str) -> Trial:
    """A trial with these settings; its params are not looked at."""
    return Trial(number, sets, "{}", f"{number:016d}")


def result(accuracies: Sequence[float]) -> TrialResult:
    """A result with these accuracies."""
    return TrialResult("5w1s", "e0", "prototype", tuple(accuracies), 61.0, 600, "kept step 500", {})


def sweep(*finished: tuple[Trial, TrialResult], failed: Sequence[Failed] = ()) -> Sweep:
    """A sweep of these trials."""
    count = len(finished) + len(failed)
    rows = compare(finished)
    return Sweep("a_<b>.yaml", "c" * 40, "d" * 32, "2026-11-29T08:00+00:00", count, rows, tuple(failed), 0, "r" * 32)
