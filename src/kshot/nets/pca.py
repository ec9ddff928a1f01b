"""Smaller embeddings: principal components, whitening, and quantisation to eight bits."""

from typing import NamedTuple

import torch
from torch import Tensor

from kshot.errors import DataError


class Axes(NamedTuple):
    """Maps a point x to axes (d, D) @ x + offset (d,); `kept` is the explained share of the variance, in [0, 1]."""

    axes: Tensor
    offset: Tensor
    kept: float


def principal_axes(points: Tensor, dim: int | None = None, *, whiten: bool = False) -> Axes:
    """The `dim` directions of greatest spread of points (M, D) around their mean, all D for None; M above `dim`.

    With `whiten` each is scaled to a variance of 1 over these points. Signs are fixed: the largest entry of an axis is
    positive. Raises DataError for more directions than the points determine.
    """
    wanted = dim or points.shape[1]
    if wanted > points.shape[1]:
        raise DataError(
            f"principal components: {wanted} are asked for of embeddings of {points.shape[1]} numbers; "
            "lower train.projection.reduce.dim"
        )
    if wanted >= len(points):
        raise DataError(
            f"principal components: {wanted} are asked for and {len(points)} training images tell "
            f"{max(0, len(points) - 1)} at most; lower train.projection.reduce.dim"
        )
    exact = points.double()
    mean = exact.mean(0)
    variances, directions = torch.linalg.eigh((exact - mean).T @ (exact - mean) / (len(points) - 1))
    variances, axes = variances.flip(0).clamp_min(0)[:wanted], directions.flip(1).T[:wanted]
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    total = (exact - mean).square().sum() / (len(points) - 1)
    kept = float(variances.sum() / total) if total else 1.0
    if whiten:
        # A direction without spread stays at zero: dividing by its variance would only amplify noise.
        floor = variances.max() * 1e-10
        axes = axes * torch.where(variances > floor, variances.rsqrt(), 0)[:, None]
    return Axes(axes.float(), (-axes @ mean).float(), kept)


class Bank(NamedTuple):
    """Points of a class bank in eight bits: value = codes (N, D) int8 * scale (D,)."""

    codes: Tensor
    scale: Tensor

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.codes.numel() + self.scale.numel() * self.scale.element_size()


def quantise(points: Tensor) -> Bank:
    """Quantise points (N, D): the range of each dimension, symmetric around zero, is divided into 255 steps."""
    scale = points.abs().amax(0).clamp_min(torch.finfo(points.dtype).tiny) / 127
    return Bank((points / scale).round().clamp(-127, 127).to(torch.int8), scale)


def restore(bank: Bank) -> Tensor:
    """The points of `bank` as float32, each number within half a step of the original."""
    return bank.codes.to(bank.scale.dtype) * bank.scale
