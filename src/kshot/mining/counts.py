"""All triplets of a batch that violate a margin, counted instead of listed: O(B² log K) time, O(B²) memory.

The hinge `d(a,p) - d(a,n) + margin` is linear where it is active. Its sum over triplets is therefore a sum over
distances, each multiplied by an integer: the number of active triplets in which it is the positive distance, minus the
number in which it is the negative one. These integers follow from one search for each negative among the K sorted
bounds of its anchor's positives.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Counts(NamedTuple):
    """Counts of the triplets of a batch.

    multiplicity  (B, B), integers in the distances' dtype: factor of d(a, i) in the sum of the active hinges, above
                  zero for positives and below zero for negatives
    active        (), float64: how many triplets violate the margin
    valid         (), float64: how many triplets there are
    """

    multiplicity: Tensor
    active: Tensor
    valid: Tensor


def count_triplets(distances: Tensor, positive: Tensor, negative: Tensor, margin: float, semi_hard: bool) -> Counts:
    """Count the triplets with d(a,n) < d(a,p) + margin; with `semi_hard` only those with d(a,p) < d(a,n) as well.

    distances (B, B) without gradients; positive, negative (B, B) bool, row = anchor. The sum of their hinges is
    `(multiplicity * distances).sum() + margin * active`.

    >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
    >>> same = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()
    >>> other = torch.tensor([[0, 0, 1], [0, 0, 1], [1, 1, 0]]).bool()
    >>> found = count_triplets(distances, same, other, margin=1.5, semi_hard=False)
    >>> found.active.item(), found.valid.item()
    (1.0, 2.0)
    """
    size = positive.sum(1)
    columns, present = _positives(positive, int(size.max()) if len(size) else 0)
    bounds = distances.gather(1, columns).masked_fill(~present, torch.inf)
    bounds, order = bounds.sort(dim=1)
    columns = columns.gather(1, order)
    # For each negative, how many bounds are not above it: these are the positives whose margin it does not violate.
    cleared = torch.searchsorted(bounds + margin, distances, right=True)
    below = _cumulative(cleared, negative, bounds.shape[1])
    if semi_hard:
        passed = torch.searchsorted(bounds, distances)
        # If the margin is too small for the dtype, a negative can clear the bound without passing the positive.
        of_negative = (passed - cleared).clamp_min(0)
        of_positive = (below - _cumulative(passed, negative, bounds.shape[1])).clamp_min(0)
    else:
        of_negative, of_positive = size[:, None] - cleared, below
    of_positive = of_positive.masked_fill(bounds.isinf(), 0)
    multiplicity = torch.where(negative, -of_negative.to(distances.dtype), 0)
    multiplicity.scatter_add_(1, columns, of_positive.to(distances.dtype))
    valid = (size * negative.sum(1)).sum().double()
    return Counts(multiplicity, of_positive.sum().double(), valid)


def _positives(positive: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The columns of each row's positives, (B, most), and a mask of those that are real rather than padding."""
    found = positive.to(torch.uint8).topk(most, dim=1)
    return found.indices, found.values.bool()


def _cumulative(place: Tensor, negative: Tensor, most: int) -> Tensor:
    """For each of a row's `most` bounds, the number of negatives with `place` at most its index: (B, most) int64."""
    histogram = torch.zeros(len(place), most + 1, dtype=torch.int64, device=place.device)
    histogram.scatter_add_(1, place, negative.to(torch.int64))
    return histogram.cumsum(1)[:, :most]
