"""Embeddings of all processes in each, with gradients: the gradient of one process, whatever their number.

Each process embeds its own rows of a batch and computes the loss of the whole batch. All of them therefore have the
whole gradient of all embeddings; each takes its own rows of it back through the network. The gradient of a parameter of
the network is the sum over the processes, not the mean. Parameters behind the gathering (proxies, a classifier, a
temperature) have their whole gradient in each process already: it counts once.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from kshot.parallel.collectives import add_up, gather_rows
from kshot.parallel.share import Share, World


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, share: Share) -> Tensor:
        ctx.rows = share.rows
        return gather_rows(own, share.counts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0][ctx.rows], None


def gather_points(own: Tensor, share: Share) -> Tensor:
    """The embeddings of the whole batch: own (rows, D) to (share.total, D); the gradient of the own rows flows back.

    Each process must compute the same loss from the result, without dividing it by the number of processes.
    """
    if share.world.size == 1:
        return own
    points: Tensor = _Gather.apply(own, share)
    return points


@contextmanager
def gathering(network: nn.Module, share: Share) -> Iterator[None]:
    """Inside the block `network` takes this process's rows and returns the embeddings of the whole batch."""
    if share.world.size == 1:
        yield
        return
    hook = network.register_forward_hook(lambda _network, _rows, points: gather_points(points, share))
    try:
        yield
    finally:
        hook.remove()


def add_up_gradients(network: nn.Module, parameters: Iterable[nn.Parameter], world: World) -> None:
    """Give `parameters` the gradient of the whole batch, with the same bits in each process.

    Those of `network`, which embeds this process's rows, get the sum over the processes; all others that of the first.
    """
    if world.size == 1:
        return
    embeds = {id(parameter) for parameter in network.parameters()}
    by_kind: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if id(parameter) not in embeds and not world.is_first:
            parameter.grad.zero_()
        by_kind.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for grads in by_kind.values():
        total = add_up(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, total.split([grad.numel() for grad in grads]), strict=True):  # type: ignore[no-untyped-call]
            grad.copy_(part.view_as(grad))
