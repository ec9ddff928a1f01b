"""Predicts the difficulty of a task from its support alone: the expected accuracy on future images of its classes.

`difficulty_features` estimates the accuracy of the nearest class mean in two ways, and `fit_difficulty` calibrates them
to measured accuracies by logistic regression, with separate weights for tasks of one image a class.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kshot.distances import squared_euclidean
from kshot.errors import NotConverged
from kshot.tasks.embedding import Task
from kshot.tasks.space import TaskSpace

LEAST_APART = 0.05  # as a share of the spread within a class: class means that are closer count as this far apart
CERTAIN = 1e-4  # features are clipped to this distance from 0 and 1
# L2 penalty of the logistic fit. Near-perfect tasks carry little information; a penalty of 1.0 would dominate hundreds
# of them: `left_out` was then almost ignored.
PRIOR = 0.01
# TOLERANCE: largest possible gain of another step, relative to the loss. Steps are halved until each reduces the loss,
# so the fit always converges; the maximum number of steps only guards against bugs.
TOLERANCE, STEPS, HALVINGS, GAIN = 1e-10, 200, 50, 1e-4


class DifficultyFeatures(NamedTuple):
    """Two estimates of the accuracy of the nearest class mean, in [0, 1].

    expected  mean probability that a new image of a class is nearer to its own class's mean than to any other, by the
              two-level model of `kshot.tasks.space`. For a query of class a against class b, the difference of the two
              squared distances is nearly normal. Its mean and variance follow from the distance of the means, corrected
              for the small number of images, and the covariance within a class. The probabilities against the other
              classes are multiplied.
    left_out  mean probability that an image of the support, left out of its class's mean, is nearest to that mean,
              smoothed by the spread within a class. Classes of one image only serve as alternatives; None if all
              classes have one image.
    """

    expected: float
    left_out: float | None


class Difficulty(NamedTuple):
    """Weights of the logistic fit.

    Of (1, logit of expected) for one image a class, and of (1, logit of expected, logit of left_out) for more.
    """

    one_shot: Tensor
    more_shots: Tensor


def difficulty_features(support: Task, space: TaskSpace) -> DifficultyFeatures:
    """Both features of a support with at least two classes."""
    means, counts = support.means, support.counts
    apart = squared_euclidean(means, means)
    # d'Sd for the difference d of each two class means: how far images scatter along the line between them.
    along = squared_euclidean(means @ space.root, means @ space.root)
    left_out = _left_out(support, means, counts, along) if bool((counts > 1).any()) else None
    return DifficultyFeatures(_expected(apart, along, counts, space), left_out)


def fit_difficulty(found: Sequence[DifficultyFeatures], accuracy: Sequence[float]) -> Difficulty:
    """Fit weights that map the features to the measured accuracies, one entry a task.

    With few tasks the result stays near `expected`. Raises NotConverged if a fit does not reach its minimum.
    """
    measured = torch.tensor(accuracy, dtype=torch.float64)
    single = torch.tensor([features.left_out is None for features in found], dtype=torch.bool)
    first = [features for features in found if features.left_out is None]
    rest = [features for features in found if features.left_out is not None]
    return Difficulty(_fit(_columns(first, 2), measured[single]), _fit(_columns(rest, 3), measured[~single]))


def predicted_accuracy(found: Sequence[DifficultyFeatures], difficulty: Difficulty) -> Tensor:
    """The predicted accuracy of each task, (T,) float64."""
    weights = {2: difficulty.one_shot, 3: difficulty.more_shots}
    sizes = [2 if features.left_out is None else 3 for features in found]
    logits = [_columns([one], size) @ weights[size] for one, size in zip(found, sizes, strict=True)]
    return torch.cat(logits).sigmoid()


def _expected(apart: Tensor, along: Tensor, counts: Tensor, space: TaskSpace) -> float:
    inverse = 1 / counts
    noise = inverse[:, None] + inverse[None, :]
    freed = (apart - space.trace * noise).clamp(min=LEAST_APART * space.trace)
    mean = freed + space.trace * (inverse[None, :] - inverse[:, None])
    share = freed / apart.clamp(min=torch.finfo(apart.dtype).tiny)
    variance = (
        4 * along * share.clamp(max=1) * (1 + inverse[None, :])
        + 4 * space.trace_square * noise
        + 2 * space.trace_square * (inverse.square()[:, None] + inverse.square()[None, :])
    )
    return float(_against_all(mean / variance.sqrt()).mean())


def _left_out(support: Task, means: Tensor, counts: Tensor, along: Tensor) -> float:
    shots = counts[support.labels]
    several = shots > 1
    labels, points = support.labels[several], support.points[several].double()
    distance = squared_euclidean(points, means)
    own = distance.gather(1, labels[:, None]) * (shots[several] / (shots[several] - 1)).square()[:, None]
    deviation = (4 * along[labels]).sqrt().clamp(min=torch.finfo(along.dtype).tiny)
    chance = _against_all((distance - own) / deviation, labels)
    sums = torch.zeros_like(counts).index_add_(0, labels, chance)
    return float((sums / counts)[counts > 1].mean())


def _against_all(margins: Tensor, own: Tensor | None = None) -> Tensor:
    """Probability to win against every class, for margins (N, C) in standard deviations; `own` columns are ignored."""
    own = torch.arange(len(margins)) if own is None else own
    logs = torch.special.log_ndtr(margins).scatter(1, own[:, None], 0.0)
    chances: Tensor = logs.sum(1).exp()
    return chances


def _columns(found: Sequence[DifficultyFeatures], width: int) -> Tensor:
    rows = [[1.0, *(share for share in features if share is not None)] for features in found]
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, width)
    table[:, 1:] = table[:, 1:].clamp(CERTAIN, 1 - CERTAIN).logit()
    return table


def _fit(columns: Tensor, measured: Tensor) -> Tensor:
    """Logistic regression on shares, regularised towards (0, 1, 0), the first feature unchanged.

    Damped Newton steps (Boyd and Vandenberghe 2004, algorithm 9.5) until the decrement falls below TOLERANCE. Full
    steps can alternate between two points forever if features are saturated and disagree.
    """
    start = torch.zeros(columns.shape[1], dtype=torch.float64)
    start[1] = 1.0

    def loss(weights: Tensor) -> float:
        logits = columns @ weights
        penalty = PRIOR / 2 * (weights - start).square().sum()
        return float((softplus(logits) - measured * logits).sum() + penalty)

    weights, now = start.clone(), loss(start)
    for _ in range(STEPS):
        chance = (columns @ weights).sigmoid()
        slope = columns.T @ (measured - chance) - PRIOR * (weights - start)
        curve = (columns * (chance * (1 - chance))[:, None]).T @ columns + PRIOR * torch.eye(len(start)).double()
        move = torch.linalg.solve(curve, slope)
        decrement = float(slope @ move)
        if decrement / 2 <= TOLERANCE * (1 + abs(now)):
            return weights
        for halving in range(HALVINGS):
            size = 0.5**halving
            if (then := loss(weights + size * move)) <= now - GAIN * size * decrement:
                weights, now = weights + size * move, then
                break
        else:
            break
    raise NotConverged(f"logistic regression on {len(measured)} tasks has not converged")
