"""Probabilities from scores: one temperature for each kind of episode, fitted on classes that training did not see.

Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599: section 4.2 (temperature scaling) and
equation 3 (expected calibration error).
"""

import functools
import math
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from torch import Tensor

from kshot.classifiers.classifier import Classifier
from kshot.data.episodes import EpisodeSet
from kshot.evaluation.evaluate import chunks
from kshot.nets.points import Points

EPISODES = (
    200  # of a protocol: 15,000 queries for 5 classes of 15, whose calibration error has a standard error of 0.3 %
)
BINS = 15  # of the calibration error, as in the paper
FOLDS = 5  # parts of the validation episodes, of which each is scored with the temperature of the other four
WIDEST = 12.0  # natural logarithm of the largest factor between the temperature and the spread of the scores
NEAR = 0.1  # the same between the temperatures of all episodes and of four folds, nearly always: a shorter search


class Calibration(NamedTuple):
    """How far the stated probabilities of the predicted classes are from the shares that are right.

    temperature  that the scores are divided by; None if it could not be fitted
    before       expected calibration error at temperature 1, in [0, 1]
    after        expected calibration error at `temperature`; None without one
    queries      number of test queries
    """

    temperature: float | None
    before: float
    after: float | None
    queries: int


def class_scores(points: Points, episodes: EpisodeSet, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """The scores of `classifier` for the queries of the first `EPISODES` episodes, and the right classes.

    Returns float64 (Q, n_way) and int64 (Q,), with Q = episodes x n_way x n_query.
    """
    found = []
    n_way, k_shot = episodes.support.shape[1:]
    labels = torch.arange(n_way).repeat_interleave(k_shot)
    for part in chunks(episodes.first(EPISODES)):
        support, query = (points.values[points.rows(ids)].flatten(1, 2) for ids in part[:2])
        found.append(classifier(support, labels, query, n_way).flatten(0, 1).double())
    scores = torch.cat(found)
    truth = torch.arange(n_way).repeat_interleave(episodes.query.shape[2])
    return scores, truth.repeat(len(scores) // len(truth))


def fit_temperature(scores: Tensor, truth: Tensor, near: float | None = None) -> float | None:
    """The temperature T > 0 with the largest likelihood of `truth` (Q,) under softmax(scores / T), scores (Q, n_way).

    The negative log-likelihood is convex in 1 / T; its slope is the mean expected score minus the mean score of the
    right class, and the temperature is where that is zero. None where it is zero for no T: all queries are predicted
    right, so that the smallest T fits best, or the right classes score no higher than the others. `near` is where the
    search begins; it finds the same T sooner if that is near.
    """
    centred = scores - scores.mean(1, keepdim=True)
    spread = float(centred.square().mean().sqrt())
    right = float(centred.gather(1, truth[:, None]).mean())
    best = float(centred.max(1).values.mean())
    if not 0 < right < best:
        return None

    @functools.cache  # `brentq` asks for the ends again
    def slope(log_inverse: float) -> float:
        shares = (centred * (math.exp(log_inverse) / spread)).softmax(1)
        return float((shares * centred).sum(1).mean()) - right

    low, high = -WIDEST, WIDEST
    if near is not None:
        guess = math.log(spread / near)
        low, high = guess - NEAR, guess + NEAR
        if not slope(low) < 0 < slope(high):
            low, high = -WIDEST, WIDEST
    if not slope(low) < 0 < slope(high):  # so near to all right that float64 cannot tell
        return None
    found: float = brentq(slope, low, high, xtol=1e-9)
    return spread / math.exp(found)


def chosen_temperature(scores: Tensor, truth: Tensor, episodes: int) -> float | None:
    """The temperature of `fit_temperature`, or 1.0 where that has no larger calibration error on other episodes.

    scores (Q, n_way) and truth (Q,) of as many validation `episodes`, one after the other. In `FOLDS` parts of the
    episodes, each part is scored with the temperature fitted on the other parts. None as for `fit_temperature`.
    """
    fitted = fit_temperature(scores, truth)
    if fitted is None:
        return None
    part = torch.arange(episodes).repeat_interleave(len(truth) // episodes) % FOLDS
    scaled = scores.clone()
    for one in range(min(FOLDS, episodes)):
        others = part != one
        scaled[~others] /= fit_temperature(scores[others], truth[others], near=fitted) or 1.0
    is_better = expected_calibration_error(scaled, truth) < expected_calibration_error(scores, truth)
    return fitted if is_better else 1.0


def expected_calibration_error(scores: Tensor, truth: Tensor, temperature: float = 1.0) -> float:
    """Mean distance between confidence and accuracy over `BINS` equal bins of the confidence, weighted by their counts.

    scores (Q, n_way); truth (Q,). The confidence is the largest entry of softmax(scores / temperature). In [0, 1].
    """
    confidence, guess = (scores / temperature).softmax(1).max(1)
    right = (guess == truth).double()
    # (a, b] as in the paper; a confidence is above 0.
    places = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add_(0, places, right - confidence)
    return float(gaps.abs().sum() / len(truth))


def measured(points: Points, episodes: EpisodeSet, classifier: Classifier, temperature: float | None) -> Calibration:
    """The calibration error of test `episodes` with and without `temperature`."""
    scores, truth = class_scores(points, episodes, classifier)
    after = None if temperature is None else expected_calibration_error(scores, truth, temperature)
    return Calibration(temperature, expected_calibration_error(scores, truth), after, len(truth))
