"""Batch norm over the whole batch while each process has some of its rows, on any device.

torch.nn.SyncBatchNorm refuses tensors on the CPU. Its mathematics are these: mean and variance from the statistics of
the parts (Chan, Golub, LeVeque 1979), and a backward pass with two sums over all processes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from kshot.distances import full_precision
from kshot.parallel.collectives import add_up, gather_rows
from kshot.parallel.share import Share

AFTER = ("drop", "act")  # what timm's norms that contain an activation apply to their output


class GlobalNorm(nn.Module):
    """Takes the place of a batch norm, with its parameters and statistics under the same names.

    In training it normalises by the statistics of the rows of all processes, and its running statistics are those of
    one process with the whole batch. In evaluation it is the batch norm.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, share: Share) -> None:
        super().__init__()
        self.share, self.eps, self.momentum = share, norm.eps, norm.momentum
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(norm, name))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        for name in AFTER:
            if hasattr(norm, name):
                setattr(self, name, getattr(norm, name))
        self.training = norm.training

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (N, channels, ...), this process's rows; the shape stays the same."""
        if self.training or self.running_mean is None or self.running_var is None:
            mean, variance, count = global_statistics(maps, self.share)
            if self.training:
                self._keep(mean, variance * count / (count - 1))
            found: Tensor = _Normalise.apply(maps, mean, (variance + self.eps).rsqrt(), self.weight, self.bias, count)
        else:
            found = batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        for name in AFTER:
            found = getattr(self, name)(found) if hasattr(self, name) else found
        return found

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


@torch.no_grad()
def global_statistics(maps: Tensor, share: Share) -> tuple[Tensor, Tensor, float]:
    """Mean and variance (divided by the count) of each channel over all processes, in float64, and the count.

    maps (N, channels, ...) floating, this process's rows. The counts follow from the share: reading them from a tensor
    would stall a GPU in each layer.
    """
    variance, mean = torch.var_mean(full_precision(maps), _but_channels(maps), correction=0)
    every = gather_rows(torch.cat([mean, variance])[None].double(), [1] * share.world.size)
    means, variances = every.chunk(2, 1)
    weights = every.new_tensor(share.counts)[:, None] / share.total
    whole = (weights * means).sum(0)
    count = maps.numel() / maps.shape[1] / share.counts[share.world.rank] * share.total
    return whole, (weights * (variances + (means - whole).square())).sum(0), count


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, mean: Tensor, scale: Tensor, weight: Tensor | None, bias: Tensor | None, count: float
    ) -> Tensor:
        ctx.save_for_backward(maps, mean, scale, weight)
        ctx.count = count
        factor = scale if weight is None else scale * weight
        shift = -mean * factor if bias is None else bias - mean * factor
        wide = full_precision(maps)
        found = wide * _spread(factor, wide) + _spread(shift, wide)
        return found.to(maps.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        maps, mean, scale, weight = ctx.saved_tensors
        wide, grad = full_precision(maps), full_precision(grads[0])
        unit = (wide - _spread(mean, wide)) * _spread(scale, wide)
        sums = torch.stack([part.sum(_but_channels(maps)) for part in (grad, grad * unit)])
        of_bias, of_weight = sums.clone()
        flat, along = (add_up(sums) / ctx.count).unbind(0)
        factor = scale if weight is None else scale * weight
        slope = (grad - _spread(flat, wide) - unit * _spread(along, wide)) * _spread(factor, wide)
        learnt = (of_weight.to(weight.dtype), of_bias.to(weight.dtype)) if weight is not None else (None, None)
        return slope.to(maps.dtype), None, None, *learnt, None


def _but_channels(maps: Tensor) -> tuple[int, ...]:
    return (0, *range(2, maps.ndim))


def _spread(values: Tensor, maps: Tensor) -> Tensor:
    """One value a channel, in the shape and dtype that multiplies `maps`."""
    return values.to(maps.dtype).reshape(1, -1, *[1] * (maps.ndim - 2))
