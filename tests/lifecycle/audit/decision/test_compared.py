"""Recorded changes and changes found again: equal within rounding, a single episode's with its missing ends."""

import dataclasses
import math

import pytest

from kshot.lifecycle.audit.decision import compared
from kshot.lifecycle.evidence import verify
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.project.broken import Broken
from kshot.statistics import Interval, ratio_difference

FOUND = Change("5w1s", "a", 0.5, 0.25, ratio_difference([1], [2], [4]), 1)


@pytest.mark.parametrize("low", [math.nan, -0.25], ids=["recorded today", "recorded when a single episode had ends"])
def test_a_single_episode_agrees_with_its_record(low: float) -> None:
    recorded = dataclasses.replace(FOUND, difference=Interval(-0.25, low, low))
    compared._same_changes("the classes", (recorded,), (FOUND,))
    ends = [None if math.isnan(one) else one for one in recorded.difference]
    assert verify.figures_near(verify.with_ends(ends), FOUND.difference)


@pytest.mark.parametrize("difference", [Interval(-0.25, -0.3, -0.2), Interval(-0.2, -0.2, -0.2)])
def test_another_mean_or_ends_of_a_single_episode_are_found(difference: Interval) -> None:
    recorded = dataclasses.replace(FOUND, difference=difference)
    with pytest.raises(Broken, match="'a' of the classes does not follow"):
        compared._same_changes("the classes", (recorded,), (FOUND,))
    assert not verify.figures_near(verify.with_ends(list(difference)), FOUND.difference)
