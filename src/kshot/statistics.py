"""Means with their 95 % intervals, over tasks and over pairs of tasks; rank correlations with theirs."""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NORMAL_95 = 1.959963984540054  # between minus this and this lies 95 % of the normal distribution


class Interval(NamedTuple):
    """A mean and the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> Interval:
    """Student's t interval of the mean of `values` (n,); (mean, nan, nan) where n is 1, ValueError where it is 0."""
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        raise ValueError("no values; an interval needs at least 2")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, math.nan, math.nan)
    half = t_quantile(sample.size - 1) * float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return Interval(mean, mean - half, mean + half)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Interval:
    """Interval of the mean of a - b, (n,) each, entry i of both from the same task: what they share cancels."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} values; a paired difference needs the same tasks")
    return mean_interval(first - second)


def ratio_interval(correct: ArrayLike, total: ArrayLike) -> Interval:
    """Interval of sum(correct) / sum(total), (n,) each, one entry a task.

    Answers of one task share its support and are not independent, so tasks and not answers are counted (the ratio
    estimator of cluster sampling, Cochran 1977, section 2.11). Entries with total 0 do not count.
    """
    c, n = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    c, n = c[n > 0], n[n > 0]
    if not n.size:
        raise ValueError("no answers; an interval needs at least 2 tasks with some")
    ratio = float(c.sum() / n.sum())
    if n.size == 1:
        return Interval(ratio, math.nan, math.nan)
    deviation = math.sqrt(float(((c - ratio * n) ** 2).sum()) / (n.size - 1)) / (float(n.mean()) * math.sqrt(n.size))
    half = t_quantile(n.size - 1) * deviation
    return Interval(ratio, ratio - half, ratio + half)


def rank_correlation(a: ArrayLike, b: ArrayLike) -> Interval:
    """Spearman's rank correlation of two samples (n,) each, ties by mean rank; NaN where one of them does not vary.

    The interval is Fisher's, with the variance of Bonett and Wright 2000: (1 + r^2 / 2) / (n - 3); NaN below 4 pairs.
    """
    first, second = (_ranks(np.asarray(sample, dtype=np.float64)) for sample in (a, b))
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


def _ranks(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(sample, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks


@functools.cache
def t_quantile(degrees: int) -> float:
    """The t with 95 % of Student's distribution between -t and t, `degrees` of freedom at least 1."""
    low, high = 1.9, 12.8
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_inside(middle, degrees) < 0.95 else (low, middle)
    return high


def _t_inside(t: float, degrees: int) -> float:
    """Probability of (-t, t) (Abramowitz and Stegun 26.7.3 and 26.7.4, finite sums for whole degrees of freedom)."""
    theta = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    steps = np.arange(2 + odd, degrees - 1, 2, dtype=np.float64)
    factors: NDArray[np.float64] = (steps - 1) / steps * math.cos(theta) ** 2
    series = 1 + float(np.cumprod(factors).sum())
    if not odd:
        return math.sin(theta) * series
    tail = math.sin(theta) * math.cos(theta) * series if degrees > 1 else 0.0
    return 2 / math.pi * (theta + tail)
