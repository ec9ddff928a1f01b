"""The two operations that the processes of a training do together: gather rows and add up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


class PeerLost(Exception):
    """Another process of the training ended while this one waited for it."""


def gather_rows(own: Tensor, counts: Sequence[int]) -> Tensor:
    """The rows of all processes, in the order of their ranks, without gradients.

    own (counts[rank], ...); the other dimensions, dtype and kind of device are the same everywhere. Returns
    (sum(counts), ...) on the device of `own`. Raises PeerLost.
    """
    # Collectives need equal shapes: shorter shares are padded, and the padding is cut off again.
    padded = own.new_zeros(max(counts), *own.shape[1:])
    padded[: len(own)] = own.detach()
    parts = [torch.empty_like(padded) for _ in counts]
    with _together():
        dist.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def add_up(tensor: Tensor) -> Tensor:
    """The sum of `tensor` over all processes, with the same bits in each; `tensor` itself changes. Raises PeerLost."""
    with _together():
        dist.all_reduce(tensor)
    return tensor


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own for a closed connection
        raise PeerLost(str(error)) from error
