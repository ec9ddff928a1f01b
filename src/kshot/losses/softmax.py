"""Log-sum-exp over part of each row: O(B²) memory where pairs times negatives would be O(B³)."""

import torch
from torch import Tensor

EMPTY = -1e30  # stands for log 0: finite, so that sums and gradients of rows without an entry are not NaN


def masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """log of the sum over `mask` of exp(values), row by row: (B, M) and (B, M) bool to (B,), EMPTY for no entry."""
    highest = values.detach().masked_fill(~mask, EMPTY).amax(1, keepdim=True)
    inside = mask.any(1)
    # The exponent is masked before exp: masked values may overflow, and inf times 0 is NaN.
    sums = torch.where(mask, values - highest, EMPTY).exp().sum(1)
    return torch.where(inside, highest[:, 0] + torch.where(inside, sums, 1).log(), EMPTY)
