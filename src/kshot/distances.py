"""Distances between embeddings: exact at zero, with finite gradients, outside autocast.

The product form |x|² + |y|² - 2xy loses half of float32's digits where points are near each other, and more under
TF32 or half precision, so it is taken in float64 (in float32 on devices that have none).
"""

import torch
from torch import Tensor


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distance of every row of `x` to every row of `y`.

    x (..., N, D), y (..., M, D). Returns (..., N, M), zero or more, float64 for float64 inputs, float32 otherwise.
    """
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    with torch.autocast(x.device.type, enabled=False):
        a, b = x.to(wide), y.to(wide)
        product = a @ b.transpose(-1, -2)
        squared = (a * a).sum(-1)[..., :, None] + (b * b).sum(-1)[..., None, :] - 2 * product
        return squared.clamp_min(0).to(_result_dtype(x))


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of every row of `x` to every row of `y`; shapes and dtypes as `squared_euclidean`.

    The gradient at distance zero is zero, one of the square root's sub-gradients, and never NaN.
    """
    return root(squared_euclidean(x, y))


def root(squared: Tensor) -> Tensor:
    """Square root with gradient zero at zero."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def _result_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
