"""Batch norm over the images of one episode, without running statistics from training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from kshot.distances import full_precision

EPSILON = 1e-5


class EpisodeNorm(nn.Module):
    """Normalises each channel by the mean and variance of the first `reference` images, or of all if it is None.

    With the support first and `reference` its size, queries do not influence each other; with None they do.
    """

    reference: int | None = None
    fused = False  # whether torch's own batch norm may be used: not under vmap, where its second derivative is wrong

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Take the scale and shift of `norm`."""
        super().__init__()
        self.weight = nn.Parameter(norm.weight.detach().clone())
        self.bias = nn.Parameter(norm.bias.detach().clone())

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (N, channels, H, W); the shape stays the same."""
        if self.fused and self.reference is None:
            return batch_norm(maps, None, None, self.weight, self.bias, training=True, eps=EPSILON)
        known = maps if self.reference is None else maps[: self.reference]
        # Statistics in float32: in half precision a mean over a few thousand numbers is wrong in its second digit.
        variance, mean = torch.var_mean(full_precision(known), (0, 2, 3), correction=0)
        scale = self.weight / (variance + EPSILON).sqrt()
        shift = self.bias - mean * scale
        return maps * scale[:, None, None].to(maps.dtype) + shift[:, None, None].to(maps.dtype)


def normalise_by_episode(network: nn.Module) -> list[EpisodeNorm]:
    """Replace every BatchNorm2d of `network` by an EpisodeNorm; returns them.

    timm's norms that contain an activation keep it, after the new norm.
    """
    made = []
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                norm = EpisodeNorm(child)
                after = [getattr(child, part) for part in ("drop", "act") if hasattr(child, part)]
                setattr(parent, name, nn.Sequential(norm, *after) if after else norm)
                made.append(norm)
    return made


@contextmanager
def refer_to(norms: list[EpisodeNorm], reference: int | None) -> Iterator[None]:
    """Use the statistics of the first `reference` images inside the block."""
    for norm in norms:
        norm.reference = reference
    try:
        yield
    finally:
        for norm in norms:
            norm.reference = None
