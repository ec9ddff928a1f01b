"""All triplets of a batch that violate a margin, counted instead of listed: O(B² log K) time, O(B²) memory.

The hinge `d(a,p) - d(a,n) + margin` is linear where it is active. Its sum over triplets is therefore a sum over
distances, each times a whole number: how many active triplets it stands in, as the positive less as the negative. Those
numbers follow from one look-up of each negative among the K sorted bounds of its anchor's positives.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Counts(NamedTuple):
    """multiplicity (B, B), whole numbers in the distances' dtype: of d(a, i) in the sum of the active hinges, positive
    for positives and negative for negatives; active and valid (), float64: how many triplets violate, and how many
    there are."""

    multiplicity: Tensor
    active: Tensor
    valid: Tensor


def count_triplets(distances: Tensor, positive: Tensor, negative: Tensor, margin: float, semi_hard: bool) -> Counts:
    """The triplets with d(a,n) < d(a,p) + margin; with `semi_hard` only those of them with d(a,p) < d(a,n).

    distances (B, B) without gradients; positive, negative (B, B) bool, row = anchor. The sum of their hinges is
    `(multiplicity * distances).sum() + margin * active`.
    """
    size = positive.sum(1)
    columns, present = _positives(positive, int(size.max()) if len(size) else 0)
    bounds = distances.gather(1, columns).masked_fill(~present, torch.inf)
    bounds, order = bounds.sort(dim=1)
    columns = columns.gather(1, order)
    # For each negative, how many bounds lie at it or below, and so which positives it does not violate.
    cleared = torch.searchsorted(bounds + margin, distances, right=True)
    below = _cumulative(cleared, negative, bounds.shape[1])
    if semi_hard:
        passed = torch.searchsorted(bounds, distances)
        # With a margin too small for the dtype a negative can clear the bound and not have passed the positive.
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
    """The columns of each row's positives, (B, most), and which of them are real."""
    found = positive.to(torch.uint8).topk(most, dim=1)
    return found.indices, found.values.bool()


def _cumulative(place: Tensor, negative: Tensor, most: int) -> Tensor:
    """For each of a row's `most` bounds, how many negatives have a place not above its own: (B, most) int64."""
    histogram = torch.zeros(len(place), most + 1, dtype=torch.int64, device=place.device)
    histogram.scatter_add_(1, place, negative.to(torch.int64))
    return histogram.cumsum(1)[:, :most]
