"""Selects the triplets of a batch for a loss, where they are few enough to be listed.

Each function takes distances (B, B) without gradients, the masks `positive` and `negative` (B, B) bool, row = anchor,
and a generator on the CPU for random choices. It returns the triplets' anchors, positives and negatives. Ties go to the
lower index. `kshot.mining.counts` counts all triplets and all semi-hard ones instead of listing them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Positions in a batch, each (T,) int64."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


TripletMiner = Callable[[Tensor, Tensor, Tensor, torch.Generator | None], Triplets]


def batch_hard(distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None) -> Triplets:
    """For each anchor, its farthest positive and nearest negative (Hermans et al. 2017, arXiv:1703.07737, eq. 5)."""
    return _of_anchors(_farthest(distances, positive), _nearest(distances, negative))


def easy_positive(distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None) -> Triplets:
    """For each anchor, its nearest positive and nearest negative (Xuan et al. 2020, arXiv:1904.04370)."""
    return _of_anchors(_nearest(distances, positive), _nearest(distances, negative))


def semi_hard_nearest(
    distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None
) -> Triplets:
    """For each positive pair, the nearest negative beyond the positive, or the farthest of all if none is beyond.

    TensorFlow and many other libraries call this semi-hard. Schroff et al. 2015, section 3.2, use every negative
    between the positive and the margin (`semi_hard`).
    """
    anchor, near = _pairs_with_negatives(positive, negative)
    ordered, index = distances.masked_fill(~negative, math.inf).sort(dim=1, stable=True)
    bound = distances[anchor, near].contiguous()
    place = torch.searchsorted(ordered[anchor], bound[:, None], right=True)[:, 0]
    return Triplets(anchor, near, index[anchor, place.minimum(negative.sum(1)[anchor] - 1)])


def random_triplets(
    distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None
) -> Triplets:
    """For each positive pair, a negative drawn uniformly."""
    return _drawn(positive, negative, negative.double(), generator)


def distance_weighted(
    distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None, dim: int = 128
) -> Triplets:
    """For each positive pair, a negative drawn so that all distances are equally likely (Wu et al. 2017).

    arXiv:1706.07567. distances are Euclidean between unit vectors of `dim` dimensions. Weights are the inverse density
    of distances on the sphere (eq. 3). As in section 4, distances below 0.5 count as 0.5, and negatives beyond 1.4,
    which contribute no loss, are left out. An anchor with no negative nearer than 1.4 draws uniformly among all.
    """
    near = distances.double().clamp(0.5, 1.99)
    log_density = (dim - 2) * near.log() + (dim - 3) / 2 * (1 - near.square() / 4).log()
    allowed = negative & (distances < 1.4)
    log_weight = (-log_density).masked_fill(~allowed, -math.inf)
    highest = log_weight.amax(1, keepdim=True)
    weight = torch.where(allowed, (log_weight - highest).exp(), 0)
    weight = torch.where(allowed.any(1, keepdim=True), weight, negative.double())
    return _drawn(positive, negative, weight, generator)


TRIPLET_MININGS: dict[str, TripletMiner] = {
    "batch_hard": batch_hard,
    "easy_positive": easy_positive,
    "semi_hard_nearest": semi_hard_nearest,
    "random_triplets": random_triplets,
    "distance_weighted": distance_weighted,
}


EXTREMES = ("batch_hard", "easy_positive")  # need only the nearest and the farthest


def _nearest(distances: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The column of the nearest entry of each row in `mask`, and whether there is one."""
    value, place = torch.where(mask, distances, math.inf).min(1)
    return place, value < math.inf


def _farthest(distances: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    value, place = torch.where(mask, distances, -math.inf).max(1)
    return place, value > -math.inf


def _of_anchors(positive: tuple[Tensor, Tensor], negative: tuple[Tensor, Tensor]) -> Triplets:
    anchor = (positive[1] & negative[1]).nonzero().flatten()
    return Triplets(anchor, positive[0][anchor], negative[0][anchor])


def _pairs_with_negatives(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    anchor, near = (positive & negative.any(1, keepdim=True)).nonzero().unbind(1)
    return anchor, near


def _drawn(positive: Tensor, negative: Tensor, weight: Tensor, generator: torch.Generator | None) -> Triplets:
    """Draw a negative for each positive pair by inversion: a uniform number among the running sums of the weights."""
    anchor, near = _pairs_with_negatives(positive, negative)
    # On the CPU, where the numbers are drawn: running sums on a GPU are not reproducible.
    weight, of = weight.cpu(), anchor.cpu()
    sums = weight.cumsum(1)[of]
    point = torch.rand(len(of), 1, dtype=torch.float64, generator=generator) * sums[:, -1:]
    drawn = torch.searchsorted(sums, point, right=True)[:, 0]
    # Rounding may put a number at the very end, after the last nonzero weight.
    last = weight.shape[1] - 1 - (weight > 0).flip(1).byte().argmax(1)
    return Triplets(anchor, near, drawn.minimum(last[of]).to(anchor.device))
