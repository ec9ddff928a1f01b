"""The choice among trials: the best first, each other one compared with it episode by episode."""

import numpy as np

from kshot.lifecycle.sweep.choice import BEST, SAME, SAME_BY_HOLM, WORSE, compare, verdict
from kshot.statistics import Interval, mean_interval, paired_difference
from tests.lifecycle.sweep.finished_trials import result, trial

NUMBERS = np.random.default_rng(0)
EASY = NUMBERS.uniform(0.3, 1.0, 300)  # of each episode, the same for all trials


def test_the_best_is_first_and_its_figures_are_of_all_episodes() -> None:
    worse = EASY - 0.1
    rows = compare([(trial(1), result(worse)), (trial(2), result(EASY))])
    assert [(row.trial.number, row.verdict) for row in rows] == [(2, BEST), (1, WORSE)]
    assert rows[0].difference is None and rows[0].accuracy == mean_interval(EASY)
    assert rows[1].difference == paired_difference(worse, EASY)


def test_a_difference_whose_interval_contains_0_is_none() -> None:
    noise = NUMBERS.normal(0, 0.2, 300)
    other = np.clip(EASY + noise - noise.mean() - 0.001, 0, 1)
    rows = compare([(trial(1), result(EASY)), (trial(2), result(other))])
    difference = rows[1].difference
    assert difference is not None and difference.low < 0 < difference.high
    assert rows[1].verdict == SAME


def test_equal_trials_show_no_difference_and_the_first_is_chosen() -> None:
    rows = compare([(trial(1), result(EASY)), (trial(2), result(EASY))])
    assert [row.trial.number for row in rows] == [1, 2] and rows[1].verdict == SAME


def test_a_difference_by_chance_among_many_does_not_count() -> None:
    """One of 15 comparisons lies just beyond 0: alone it is worse, among 15 it is not."""
    best = np.full(300, 0.5)
    unlucky = best + np.where(np.arange(300) % 2, 0.3, -0.388)
    alone = compare([(trial(1), result(best)), (trial(2), result(unlucky))])
    others = [(trial(3 + number), result(best)) for number in range(14)]
    among = compare([(trial(1), result(best)), (trial(2), result(unlucky)), *others])
    found = {row.trial.number: row for row in among}[2]
    assert alone[1].verdict == WORSE and found.verdict == SAME_BY_HOLM
    assert found.difference == alone[1].difference


def test_one_episode_decides_nothing() -> None:
    rows = compare([(trial(1), result([1.0])), (trial(2), result([0.0]))])
    assert rows[1].verdict == SAME
    assert verdict(Interval(-0.1, -0.2, -0.01), 0.04) == WORSE


def test_without_a_finished_trial_there_is_no_choice() -> None:
    assert compare([]) == ()
