"""Selects the pairs of a batch for a loss. Except in `all_pairs`, every anchor gets as many negatives as positives.

Each function takes distances (B, B) without gradients, the masks `positive` and `negative` (B, B) bool, row = anchor,
and a generator on the CPU for random choices. It returns the pairs as two masks of the same form.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from kshot.mining.relations import Relations

PairMiner = Callable[[Tensor, Tensor, Tensor, torch.Generator | None], Relations]


def all_pairs(distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None) -> Relations:
    """Every pair of the batch."""
    return Relations(positive, negative)


def random_pairs(distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None) -> Relations:
    """Every positive, and equally many random negatives of the same anchor (Hadsell et al. 2006; Koch et al. 2015)."""
    order = torch.rand(distances.shape, generator=generator).to(distances.device)
    return Relations(positive, _smallest(order, negative, positive.sum(1)))


def hard_pairs(distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None) -> Relations:
    """Every positive, and equally many of the anchor's nearest negatives (Simo-Serra et al. 2015, arXiv:1412.6537)."""
    return Relations(positive, _smallest(distances, negative, positive.sum(1)))


def semi_hard_pairs(
    distances: Tensor, positive: Tensor, negative: Tensor, generator: torch.Generator | None
) -> Relations:
    """Every positive, and equally many of the nearest negatives beyond the anchor's farthest positive.

    The pairwise counterpart of Schroff et al. 2015, section 3.2: skips negatives so near that they may be mislabelled.
    """
    farthest = distances.masked_fill(~positive, -math.inf).amax(1, keepdim=True)
    return Relations(positive, _smallest(distances, negative & (distances > farthest), positive.sum(1)))


PAIR_MININGS: dict[str, PairMiner] = {
    "all_pairs": all_pairs,
    "random_pairs": random_pairs,
    "hard_pairs": hard_pairs,
    "semi_hard_pairs": semi_hard_pairs,
}


def _smallest(values: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
    """A mask of the `counts[i]` smallest values of row i among the entries in `mask`."""
    most = min(int(counts.max()), values.shape[1]) if len(values) else 0
    found = values.masked_fill(~mask, math.inf).topk(most, dim=1, largest=False).indices
    wanted = torch.arange(most, device=values.device)[None, :] < counts[:, None]
    return torch.zeros_like(mask).scatter_(1, found, wanted) & mask
