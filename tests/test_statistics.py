import math

import numpy as np
import pytest
from scipy import stats

from kshot.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_difference,
    probability_beyond,
    rank_correlation,
    ratio_difference,
    ratio_interval,
    t_interval,
    t_quantile,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10, 99, 100, 999])
def test_t_quantile_agrees_with_scipy(degrees):
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def test_t_interval_by_hand():
    # Mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653.
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_intervals_far_from_the_ends_are_students():
    rng = np.random.default_rng(0)
    one, other = rng.beta(12, 3, (2, 1000))
    np.testing.assert_allclose(mean_interval(one), t_interval(one), atol=2e-4)
    np.testing.assert_allclose(paired_difference(one, other), t_interval(one - other), atol=2e-4)


def test_wilsons_interval_by_hand():
    # Shares of 0 and 1 alone: the design ratio is 1 but for the 10 / 9 of the variance, and one more task of 0.2.
    values = [1.0] * 8 + [0.0] * 2
    ratio = (2 * 10 / 9 + 0.2) / 3  # two tasks are off the nearer end
    t, answers = t_quantile(9), 10 / ratio
    centre, half = 0.8 + t**2 / (2 * answers), t * math.sqrt(0.16 / answers + t**2 / (4 * answers**2))
    expected = (0.8, (centre - half) / (1 + t**2 / answers), (centre + half) / (1 + t**2 / answers))
    assert mean_interval(values) == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 40, 400, 1000])
def test_intervals_keep_to_what_is_possible_and_always_have_a_width(count):
    most = np.ones(count)
    most[0] = 74 / 75
    for values in (np.ones(count), np.zeros(count), most, np.full(count, 0.25)):
        mean, low, high = mean_interval(values)
        assert 0 <= low <= mean <= high <= 1 and low < high
        for other in (values, np.ones(count), np.zeros(count)):
            mean, low, high = paired_difference(values, other)
            assert -1 <= low <= mean <= high <= 1 and low < high


def test_pairs_that_are_all_equal_leave_open_what_so_many_can():
    mean, low, high = paired_difference(np.ones(400), np.ones(400))
    assert mean == 0 and high == -low == pytest.approx(0.00193, abs=1e-5)  # t^2 / (400 / 0.2 + t^2)


@pytest.mark.parametrize("error", [0.0005, 0.002, 0.01])
@pytest.mark.parametrize("kind", ["answers", "classes"])
def test_intervals_near_the_ceiling_cover_the_truth(error, kind):
    """Errors of single answers, and of a whole class of five at once; Student's interval covers 10 to 90 % there."""
    rng = np.random.default_rng(1)
    if kind == "answers":
        samples = 1 - rng.binomial(75, error, (600, 200)) / 75
    else:
        samples = 1 - 0.2 * (rng.random((600, 200)) < 5 * error)
    inside = [low <= 1 - error <= high for _, low, high in map(mean_interval, samples)]
    assert np.mean(inside) >= 0.9


def test_paired_intervals_near_agreement_cover_the_truth():
    rng = np.random.default_rng(2)
    lost = 0.2 * (rng.random((600, 200)) < 0.01)
    inside = [low <= -0.002 <= high for _, low, high in (paired_difference(1 - one, np.ones(200)) for one in lost)]
    assert np.mean(inside) >= 0.9


def test_shares_outside_of_0_and_1_are_refused():
    with pytest.raises(ValueError, match="shares lie in"):
        mean_interval([0.5, 1.1])


def test_one_value_has_a_mean_and_no_interval():
    mean, low, high = mean_interval([0.5])
    assert mean == 0.5
    assert math.isnan(low) and math.isnan(high)


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        mean_interval([])


def test_pairs_cancel_what_they_share():
    shared = np.random.default_rng(0).uniform(0.2, 0.8, 50)
    paired = paired_difference(shared + 0.1, shared)
    assert paired.mean == pytest.approx(0.1)
    assert paired.high - paired.low < (mean_interval(shared).high - mean_interval(shared).low) / 4


def test_pairs_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="same tasks"):
        paired_difference([1.0, 2.0], [1.0])


def test_ratio_weighs_by_answers_and_counts_tasks():
    rng = np.random.default_rng(0)
    asked = rng.integers(1, 20, 300)
    right = rng.binomial(asked, 0.55)
    mean, low, high = ratio_interval([*right, 0], [*asked, 0])
    assert mean == right.sum() / asked.sum()
    # Residuals against the ratio over the mean number of answers (Cochran 1977).
    error = math.sqrt(((right - mean * asked) ** 2).sum() / 299) / (asked.mean() * math.sqrt(300))
    assert high - low == pytest.approx(2 * t_quantile(299) * error, rel=0.02)


def test_a_difference_of_ratios_of_equal_tasks_is_the_paired_difference():
    one, other = np.array([0.2, 0.4, 0.9]), np.array([0.3, 0.2, 0.9])
    found = ratio_difference(one * 10, other * 10, [10, 10, 10])
    assert found == pytest.approx(paired_difference(one, other))


@pytest.mark.parametrize("total", [[4], [4, 0]], ids=["one task", "one with predictions"])
@pytest.mark.parametrize("new", [1, 2, 3], ids=["lost", "equal", "gained"])
def test_the_difference_of_a_single_task_has_no_interval(new, total):
    found = ratio_difference([new, 0][: len(total)], [2, 0][: len(total)], total)
    assert found.mean == pytest.approx((new - 2) / 4)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert math.isnan(paired_difference([new / 4], [0.5]).low)


def test_a_probability_is_one_in_twenty_where_the_interval_ends_at_the_limit():
    found = Interval(-0.1, -0.15, -0.05)
    assert probability_beyond(found, -0.05, 40) == pytest.approx(0.05)
    assert probability_beyond(found, -0.04, 40) < 0.05 < probability_beyond(found, -0.06, 40)
    assert probability_beyond(found, -0.1, 40) == 1
    assert probability_beyond(Interval(-0.1, math.nan, math.nan), 0.0, 1) == 1


def test_holms_adjustment_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


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
