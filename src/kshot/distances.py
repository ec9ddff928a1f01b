"""Distances between embeddings: exact at zero, with finite gradients, outside autocast.

The product form |x|² + |y|² - 2xy loses half of float32's digits where points are near each other, and more under
TF32 or half precision, so it is taken in float64 (in float32 on devices that have none).
"""

from collections.abc import Callable

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


def cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """1 - cos of every row of `x` to every row of `y`, in [0, 2]; shapes and dtypes as `squared_euclidean`.

    A row of zeros has no direction: it is at distance 1 from everything, itself included.
    """
    return 1 - cosine_similarity(x, y)


def cosine_similarity(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of the angle of every row of `x` to every row of `y`; shapes and dtypes as `squared_euclidean`."""
    with torch.autocast(x.device.type, enabled=False):
        a, b = unit_length(x.to(_result_dtype(x))), unit_length(y.to(_result_dtype(x)))
        return (a @ b.transpose(-1, -2)).clamp(-1, 1)


def unit_length(x: Tensor) -> Tensor:
    """Rows of `x` divided by their length; a row of zeros stays zeros, with a finite gradient."""
    length = root(x.square().sum(-1, keepdim=True))
    return x / torch.where(length > 0, length, 1)


def full_precision(x: Tensor) -> Tensor:
    """`x` in float32 where it is of half precision, as it is otherwise."""
    return x.to(_result_dtype(x))


def row_by_row(x: Tensor, y: Tensor, distance: str) -> Tensor:
    """The distance of each row of `x` to the same row of `y`, both (N, D): (N,), exact through the differences.

    `distance` is one of DISTANCES. float64 for float64 inputs, float32 otherwise.
    """
    with torch.autocast(x.device.type, enabled=False):
        a, b = x.to(_result_dtype(x)), y.to(_result_dtype(x))
        if distance == "cosine":
            return 1 - (unit_length(a) * unit_length(b)).sum(-1)
        squared = (a - b).square().sum(-1)
        return root(squared) if distance == "euclidean" else squared


def root(squared: Tensor) -> Tensor:
    """Square root with gradient zero at zero."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "squared_euclidean": squared_euclidean,
    "cosine": cosine_distance,
}


def _result_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
