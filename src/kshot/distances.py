"""Distances between embeddings: exact at zero, with finite gradients, outside autocast.

The product form |x|² + |y|² - 2xy loses half of float32's digits where points are near each other, and more under
TF32 or half precision. It is therefore computed in float64 (float32 on devices without float64), about the points'
mean, and values below the rounding error are set to zero.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ROUNDING = 4  # rounding error of the product, in units of its last digit


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distance of every row of `x` to every row of `y`.

    x (..., N, D), y (..., M, D). Returns (..., N, M), zero or more, float64 for float64 inputs, float32 otherwise.
    """
    with torch.autocast(x.device.type, enabled=False):
        if x is y:
            x = full_precision(x)
            found: Tensor = _SquaredEuclidean.apply(x, x)
        else:
            found = _SquaredEuclidean.apply(full_precision(x), full_precision(y))
        return found


class _SquaredEuclidean(torch.autograd.Function):
    """Forward and backward pass by hand, for speed: autograd would pass over N x M numbers once for each operation."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, y: Tensor) -> Tensor:
        a, b = _about_mean(x, y)
        of_a, of_b = ((points * points).sum(-1, keepdim=True) for points in (a, b))
        rounding = ROUNDING * torch.finfo(a.dtype).eps * of_a.amax(-2, keepdim=True)
        # One product makes all three terms: (-2a, |a|², 1) (b, 1, |b|²)'.
        left = torch.cat([-2 * a, of_a - rounding, torch.ones_like(of_a)], -1)
        right = torch.cat([b, torch.ones_like(of_b), of_b], -1)
        return (left @ right.transpose(-1, -2)).clamp_min_(0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.same = inputs[0] is inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = ctx.saved_tensors
        a, b = _about_mean(x, y)
        # The gradient is sum_j g_ij (x_i - y_j): it cancels as the distance does, and needs the same precision.
        if ctx.same:
            both = grad.to(a.dtype)
            both = both + both.transpose(-1, -2)
            return (2 * (both.sum(-1, keepdim=True) * a - both @ a)).to(x.dtype), None
        grad = grad.to(a.dtype)
        turned = grad.transpose(-1, -2)
        of_x = 2 * (grad.sum(-1, keepdim=True) * a - grad @ b) if ctx.needs_input_grad[0] else None
        of_y = 2 * (turned.sum(-1, keepdim=True) * b - turned @ a) if ctx.needs_input_grad[1] else None
        return of_x if of_x is None else of_x.to(x.dtype), of_y if of_y is None else of_y.to(y.dtype)


def _about_mean(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the product's precision, less the mean of `x`: distances stay, and the terms that cancel are small."""
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    a = x.to(wide)
    middle = a.mean(-2, keepdim=True)
    return a - middle, (a if x is y else y.to(wide)) - middle


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
    """Return `x` in float32 if it has half precision, otherwise unchanged."""
    return x.to(_result_dtype(x))


def order_of_rows(x: Tensor) -> Tensor:
    """Return (N, N) numbers that order each row as the Euclidean distances from that row of `x` (N, D) do.

    Uses one product in the inputs' own precision. It serves to find the nearest and the farthest points; their
    distances are computed separately. Two points that differ by less than float32's last digit of |x|² may be swapped.
    """
    with torch.autocast(x.device.type, enabled=False):
        a = full_precision(x)
        a = a - a.mean(0)
        return torch.addmm((a * a).sum(1), a, a.T, alpha=-2)


def row_by_row(x: Tensor, y: Tensor, distance: str) -> Tensor:
    """Distance of each row of `x` to the same row of `y`, both (N, D): (N,), computed from the exact differences.

    `distance` is one of DISTANCES. float64 for float64 inputs, float32 otherwise.
    """
    with torch.autocast(x.device.type, enabled=False):
        a, b = x.to(_result_dtype(x)), y.to(_result_dtype(x))
        if distance == "cosine":
            return 1 - (unit_length(a) * unit_length(b)).sum(-1)
        apart = a - b
        squared = (apart * apart).sum(-1)
        return root(squared) if distance == "euclidean" else squared


def root(squared: Tensor) -> Tensor:
    """Square root with gradient zero at zero."""
    found: Tensor = _Root.apply(squared)
    return found


class _Root(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(squared: Tensor) -> Tensor:
        return squared.sqrt()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (found,) = ctx.saved_tensors
        return torch.where(found > 0, grad / (2 * found), 0)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "squared_euclidean": squared_euclidean,
    "cosine": cosine_distance,
}


def _result_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
