"""Means over tasks and over pairs of tasks, and rank correlations, each with its 95 % interval."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NORMAL_95 = 1.959963984540054  # 95 % of the normal distribution lies between -NORMAL_95 and NORMAL_95
ROUNDING = 1e-9  # a share computed as a sum may lie this far outside [0, 1]
UNSEEN_DESIGN_RATIO = 0.2  # a fifth of a task's predictions wrong at once, one class of five: docs/decisions/0016


class Interval(NamedTuple):
    """A mean and the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def t_interval(values: ArrayLike) -> Interval:
    """Student's t interval of the mean of any `values` (n,); (mean, nan, nan) if n is 1, ValueError if it is 0.

    For shares use `mean_interval`: near 0 and 1 the t interval leaves [0, 1], and its width is 0 if all values are
    equal.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        raise ValueError("no values; an interval needs at least 2")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, math.nan, math.nan)
    half = t_quantile(sample.size - 1) * float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return Interval(mean, mean - half, mean + half)


def mean_interval(values: ArrayLike) -> Interval:
    """Interval of the mean of shares (n,) in [0, 1], one entry a task; (mean, nan, nan) if n is 1.

    Raises ValueError for no values and for values outside [0, 1]. See `ratio_interval`.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size and not (sample.min() >= -ROUNDING and sample.max() <= 1 + ROUNDING):
        raise ValueError(f"values from {sample.min()} to {sample.max()}; shares lie in [0, 1]")
    return ratio_interval(sample, np.ones_like(sample))


def ratio_interval(correct: ArrayLike, total: ArrayLike) -> Interval:
    """Interval of sum(correct) / sum(total), (n,) each, one entry a task; within [0, 1], its width never 0.

    The predictions of one task share its support and are not independent, so the sample size is the number of tasks:
    the variance is the ratio estimator's of cluster sampling (Cochran 1977, section 2.11). The interval is Wilson's
    (1927) with Student's t and the number of independent predictions that have this variance (Korn and Graubard 1998).
    If the ratio is far from 0 and 1, it agrees with `t_interval`. Entries with total 0 do not count.
    """
    c, n = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    c, n = c[n > 0], n[n > 0]
    if not n.size:
        raise ValueError("no predictions; an interval needs at least 2 tasks with some")
    ratio = min(1.0, max(0.0, float(c.sum() / n.sum())))
    if n.size == 1:
        return Interval(ratio, math.nan, math.nan)
    spread, t = ratio * (1 - ratio), t_quantile(n.size - 1)
    independent = n.size / _design_ratio(c, n, ratio)
    centre = (ratio + t * t / (2 * independent)) / (1 + t * t / independent)
    half = t * math.sqrt(spread / independent + (t / (2 * independent)) ** 2) / (1 + t * t / independent)
    return Interval(ratio, max(0.0, min(centre - half, ratio)), min(1.0, max(centre + half, ratio)))


def paired_difference(a: ArrayLike, b: ArrayLike) -> Interval:
    """Interval of the mean of a - b, shares (n,) each; entry i of both is from one task, whose difficulty cancels."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} values; a paired difference needs the same tasks")
    return ratio_difference(first, second, np.ones_like(first))


def ratio_difference(a: ArrayLike, b: ArrayLike, total: ArrayLike) -> Interval:
    """Interval of (sum(a) - sum(b)) / sum(total), (n,) each, one entry a task; within [-1, 1], its width never 0.

    The gains and the losses of tasks are two ratios with the intervals of `ratio_interval`. The interval of their
    difference follows from both and their correlation (Newcombe 1998, Statistics in Medicine 17, 2635; Zou and Donner
    2008, 27, 1693). So even if all pairs are equal, the interval is as wide as that number of pairs justifies.
    A single task has no interval: (difference, nan, nan).
    """
    first, second, n = (np.asarray(values, dtype=np.float64) for values in (a, b, total))
    first, second, n = first[n > 0], second[n > 0], n[n > 0]
    gains, losses = np.maximum(first - second, 0.0), np.maximum(second - first, 0.0)
    gain, loss = ratio_interval(gains, n), ratio_interval(losses, n)
    difference = gain.mean - loss.mean
    if math.isnan(gain.low):
        return Interval(difference, math.nan, math.nan)
    residuals = gains - gain.mean * n, losses - loss.mean * n
    size = math.sqrt(float(residuals[0] @ residuals[0]) * float(residuals[1] @ residuals[1]))
    correlation = max(-1.0, min(1.0, float(residuals[0] @ residuals[1]) / size)) if size else 0.0
    below = _joined(gain.mean - gain.low, loss.high - loss.mean, correlation)
    above = _joined(gain.high - gain.mean, loss.mean - loss.low, correlation)
    return Interval(difference, max(-1.0, difference - below), min(1.0, difference + above))


def probability_beyond(difference: Interval, limit: float, tasks: int) -> float:
    """Two-sided probability of a difference this far below `limit` if the true one is `limit`; 1 if it is not below.

    The probability is 0.05 if the 95 % interval ends at `limit`. `tasks` is how many tasks the interval is made from.
    """
    half = difference.high - difference.mean
    if not half > 0 or difference.mean >= limit:  # also covers the NaN of a single task
        return 1.0
    return 1 - _t_inside((limit - difference.mean) / half * t_quantile(tasks - 1), tasks - 1)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Holm's adjusted probabilities (1979), in order: one below 0.05 is a false alarm in at most one family of 20."""
    adjusted, largest, count = [1.0] * len(probabilities), 0.0, len(probabilities)
    for rank, place in enumerate(sorted(range(count), key=lambda place: probabilities[place])):
        largest = max(largest, min(1.0, (count - rank) * probabilities[place]))
        adjusted[place] = largest
    return adjusted


def _design_ratio(correct: NDArray[np.float64], total: NDArray[np.float64], ratio: float) -> float:
    """Variance of a task's share divided by its maximum, ratio * (1 - ratio): 1 if every share is 0 or 1.

    The variance of a few wrong predictions says little about the variance of later ones. So one more task, with
    UNSEEN_DESIGN_RATIO, is added to the effective number (Kish 1965) of tasks whose predictions are not all at the
    nearer end.
    """
    spread = ratio * (1 - ratio)
    seen = float(((correct - ratio * total) ** 2).sum()) / (total.size - 1) / float(total.mean()) ** 2
    off = min(_effective(total - correct), _effective(correct))
    return (off * (seen / spread if spread else 0.0) + UNSEEN_DESIGN_RATIO) / (off + 1)


def _effective(weights: NDArray[np.float64]) -> float:
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _joined(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one + other * other - 2 * correlation * one * other))


def rank_correlation(a: ArrayLike, b: ArrayLike) -> Interval:
    """Spearman's rank correlation of two samples (n,) each, ties by mean rank; NaN if one of them does not vary.

    The interval is Fisher's, with the variance of Bonett and Wright 2000: (1 + r^2 / 2) / (n - 3); NaN below 4 pairs.
    """
    from scipy.stats import rankdata

    first, second = (np.asarray(rankdata(sample), dtype=np.float64) for sample in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} values; a correlation needs pairs")
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float(first @ first) * float(second @ second))
    if not size:
        return Interval(math.nan, math.nan, math.nan)
    found = min(1.0, max(-1.0, float(first @ second) / size))
    if len(first) < 4:
        return Interval(found, math.nan, math.nan)
    if abs(found) == 1:
        return Interval(found, found, found)
    half = NORMAL_95 * math.sqrt((1 + found**2 / 2) / (len(first) - 3))
    return Interval(found, math.tanh(math.atanh(found) - half), math.tanh(math.atanh(found) + half))


@functools.cache
def t_quantile(degrees: int) -> float:
    """The t with 95 % of Student's distribution between -t and t, `degrees` of freedom at least 1."""
    from scipy.special import stdtrit  # imported here: commands that print stored intervals start without it

    return float(stdtrit(degrees, 0.975))


def _t_inside(t: float, degrees: int) -> float:
    """Probability of the interval (-t, t) under Student's distribution."""
    from scipy.special import stdtr

    return float(stdtr(degrees, t) - stdtr(degrees, -t))
