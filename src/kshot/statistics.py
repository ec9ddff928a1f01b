"""Means with their 95 % intervals, over tasks and over pairs of tasks."""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
