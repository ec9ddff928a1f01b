import math

import numpy as np
import pytest
from scipy import stats

from kshot.statistics import mean_interval, paired_difference, rank_correlation, ratio_interval, t_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10, 99, 100, 999])
def test_t_quantile_agrees_with_scipy(degrees):
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def test_interval_by_hand():
    # Mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653.
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_interval_covers_the_truth_nineteen_times_in_twenty():
    samples = np.random.default_rng(0).normal(3.0, 2.0, (2000, 12))
    inside = [low <= 3.0 <= high for _, low, high in map(mean_interval, samples)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_a_mean_and_no_interval():
    mean, low, high = mean_interval([0.5])
    assert mean == 0.5
    assert math.isnan(low) and math.isnan(high)


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_pairs_cancel_what_they_share():
    shared = np.random.default_rng(0).normal(0, 10, 50)
    mean, low, high = paired_difference(shared + 1, shared)
    assert mean == pytest.approx(1) and high - low < 1e-9


def test_pairs_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="same tasks"):
        paired_difference([1.0, 2.0], [1.0])


def test_ratio_weighs_by_answers_and_counts_tasks():
    mean, low, high = ratio_interval([8, 0, 3], [10, 0, 10])
    assert mean == 0.55
    # Residuals 2.5 and -2.5 over a mean of 10 answers: standard error sqrt(12.5) / (10 sqrt(2)).
    assert high - mean == pytest.approx(t_quantile(1) * math.sqrt(12.5) / (10 * math.sqrt(2)))
    assert mean - low == pytest.approx(high - mean)


def test_ratio_of_equal_tasks_is_their_mean_interval():
    shares = np.array([0.2, 0.4, 0.9])
    assert ratio_interval(shares * 10, [10, 10, 10]) == pytest.approx(mean_interval(shares))


@pytest.mark.parametrize("ties", [False, True])
def test_the_rank_correlation_agrees_with_scipy(ties):
    generator = np.random.default_rng(3)
    a = generator.normal(size=40)
    b = a + generator.normal(size=40)
    if ties:
        a, b = a.round(), b.round()
    assert rank_correlation(a, b).mean == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-12)


def test_its_interval_covers_the_truth_nineteen_times_in_twenty():
    generator = np.random.default_rng(4)
    pairs = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], (1000, 50))
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's, of a normal pair with Pearson's 0.6
    found = [rank_correlation(pair[:, 0], pair[:, 1]) for pair in pairs]
    assert np.mean([one.low <= truth <= one.high for one in found]) == pytest.approx(0.95, abs=0.02)


def test_a_rank_correlation_by_hand_and_of_few_or_equal_values():
    assert rank_correlation([1, 2, 3, 4], [2, 1, 4, 3]).mean == pytest.approx(0.6)
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == (1.0, 1.0, 1.0)
    three = rank_correlation([1, 2, 3], [1, 3, 2])
    assert three.mean == pytest.approx(0.5) and math.isnan(three.low)
    assert all(math.isnan(value) for value in rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]))
    with pytest.raises(ValueError, match="needs pairs"):
        rank_correlation([1, 2], [1, 2, 3])
