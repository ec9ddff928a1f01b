"""Triplet loss with the mining of a batch: all triplets, the hardest, or the semi-hard ones.

All and semi-hard are exact without ever listing a triplet: each anchor's negatives are sorted once, and prefix sums
over them give, for every positive, how many negatives violate the margin and what their distances sum to. That is
O(B² log B) time and O(B²) memory, where the triplets themselves are O(B³).
"""

import math

import torch
from torch import Tensor

from kshot.distances import squared_euclidean
from kshot.losses.arguments import check_batch, check_margin


def triplet_loss(embeddings: Tensor, labels: Tensor, margin: float, mining: str) -> Tensor:
    """Mean of `max(0, d(a,p)² - d(a,n)² + margin)` over mined triplets (Schroff et al. 2015, eq. 1, arXiv:1503.03832).

    embeddings (B, D) floating; labels (B,) integer. An anchor a, a positive p != a of its class, a negative n of
    another. `mining` says over which triplets the mean is taken:

    batch_all   every valid triplet, also those whose loss is zero
    batch_hard  one an anchor: its farthest positive and its nearest negative (Hermans et al. 2017, arXiv:1703.07737)
    semi_hard   every triplet with d(a,p)² < d(a,n)² < d(a,p)² + margin (Schroff et al. 2015, section 3.2)

    Returns a scalar, 0 where nothing is mined. Raises ValueError for another `mining`, a margin below zero, or shapes
    that do not match.
    """
    if mining not in MININGS:
        raise ValueError(f"mining is {mining!r}; needs one of {', '.join(MININGS)}")
    check_batch(embeddings, labels)
    check_margin(margin)
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    # Prefix sums over hundreds of distances cancel: float64 where the device has it, whatever came in.
    wide = embeddings if embeddings.device.type == "mps" else embeddings.double()
    loss = MININGS[mining](squared_euclidean(wide, wide), positive, ~same, margin)
    return loss if embeddings.dtype == torch.float64 else loss.float()


def batch_all(squared: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """squared (B, B) distances; positive, negative (B, B) masks, row = anchor. The mean over all valid triplets."""
    nearer, sums = _negatives_below(squared, negative, squared.detach() + margin)
    hinges = nearer * (squared + margin) - sums
    triplets = (positive.sum(1) * negative.sum(1)).sum()
    return torch.where(positive, hinges, 0).sum() / triplets.clamp_min(1)


def semi_hard(squared: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Arguments as `batch_all`. The mean over the triplets whose negative lies between the positive and the margin."""
    below, sums_below = _negatives_below(squared, negative, squared.detach() + margin)
    nearer, sums_nearer = _negatives_below(squared, negative, squared.detach(), right=True)
    # With margin 0 float rounding may leave `below` a negative short of `nearer`: nothing is semi-hard then.
    count = torch.where(positive, below - nearer, 0).clamp_min(0)
    hinges = count * (squared + margin) - (sums_below - sums_nearer)
    return torch.where(count > 0, hinges, 0).sum() / count.sum().clamp_min(1)


def batch_hard(squared: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Arguments as `batch_all`. The mean over the anchors that have both a positive and a negative."""
    farthest = squared.masked_fill(~positive, -math.inf).amax(1)
    nearest = squared.masked_fill(~negative, math.inf).amin(1)
    mined = positive.any(1) & negative.any(1)
    hinges = (torch.where(mined, farthest, 0) - torch.where(mined, nearest, 0) + margin).clamp_min(0)
    return torch.where(mined, hinges, 0).sum() / mined.sum().clamp_min(1)


MININGS = {"batch_all": batch_all, "batch_hard": batch_hard, "semi_hard": semi_hard}


def _negatives_below(squared: Tensor, negative: Tensor, bound: Tensor, right: bool = False) -> tuple[Tensor, Tensor]:
    """How many negatives of each anchor lie below `bound` (B, B), and the sum of their squared distances.

    `right` counts those at the bound too.
    """
    ordered = squared.masked_fill(~negative, math.inf).sort(dim=1).values
    count = torch.searchsorted(ordered.detach(), bound.contiguous(), right=right)
    finite = torch.where(ordered.isinf(), 0, ordered)
    sums = torch.nn.functional.pad(finite.cumsum(1), (1, 0))
    return count, sums.gather(1, count)
