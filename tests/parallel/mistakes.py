"""Gradients of one batch in several processes: kshot's, and those of mistakes that others have made."""

import json
from pathlib import Path

import torch
from torch import nn

from kshot.parallel.collectives import add_up, gather_rows
from kshot.parallel.gathered import add_up_gradients, gather_points
from kshot.parallel.share import ALONE, Share, World

ROWS, WIDTH, DIM = 7, 6, 3  # 7 rows: neither 2 nor 3 processes share them evenly


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(ROWS, WIDTH, generator=generator, dtype=torch.float64), torch.arange(ROWS) % 3


def network():
    torch.manual_seed(0)
    return nn.Linear(WIDTH, DIM).double()


def losses(points, labels, others=None):
    """A softmax over all other points for each anchor, one loss an anchor: (B,)."""
    others = points if others is None else others
    return torch.nn.functional.cross_entropy(points @ others.T, labels, reduction="none")


def gradient(net):
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


def of_one_process():
    net, (rows, labels) = network(), batch()
    losses(net(rows), labels).mean().backward()
    return gradient(net)


def ours(world):
    net, (rows, labels), share = network(), batch(), Share(world, ROWS)
    losses(gather_points(net(rows[share.rows]), share), labels).mean().backward()
    add_up_gradients(net, net.parameters(), world)
    return gradient(net)


def mean_of_gradients(world):
    """The processes' gradients of the whole loss, averaged as DistributedDataParallel does."""
    return ours(world) / world.size


def gather_without_gradient(world):
    """Each process takes the loss of its own anchors against points of the others that carry no gradient."""
    net, (rows, labels), share = network(), batch(), Share(world, ROWS)
    own = net(rows[share.rows])
    everyone = gather_rows(own, share.counts)
    everyone[share.rows] = own
    (losses(own, labels[share.rows], everyone).sum() / ROWS).backward()
    add_up_gradients(net, net.parameters(), world)
    return gradient(net)


def mean_of_the_processes_means(world):
    """Each process takes the mean over its own rows, and these means count alike, however many rows each has."""
    net, (rows, labels), share = network(), batch(), Share(world, ROWS)
    points = gather_points(net(rows[share.rows]), share)
    parts = losses(points, labels).split(share.counts)
    torch.stack([part.mean() for part in parts]).mean().backward()
    add_up_gradients(net, net.parameters(), world)
    return gradient(net)


def own_rows_alone(world):
    """Each process compares only its own rows with each other."""
    net, (rows, labels), share = network(), batch(), Share(world, ROWS)
    (losses(net(rows[share.rows]), labels[share.rows] % len(rows[share.rows])).sum() / ROWS).backward()
    add_up_gradients(net, net.parameters(), world)
    return gradient(net)


def leftover_rows_dropped(world):
    """Rows that do not divide are left out."""
    each = ROWS // world.size
    net, (rows, labels), share = network(), batch(), Share(world, each * world.size)
    losses(gather_points(net(rows[share.rows]), share), labels[: share.total]).mean().backward()
    add_up_gradients(net, net.parameters(), world)
    return gradient(net)


def parameters_behind_counted_by_all(world):
    """A parameter behind the gathering, such as a proxy, has its gradient once in each process: all are added."""
    net, (rows, labels), share = network(), batch(), Share(world, ROWS)
    proxies = nn.Parameter(torch.eye(DIM, dtype=torch.float64))
    losses(gather_points(net(rows[share.rows]), share), labels, proxies).mean().backward()
    return add_up(proxies.grad) / of_proxies()


def of_proxies():
    net, (rows, labels) = network(), batch()
    proxies = nn.Parameter(torch.eye(DIM, dtype=torch.float64))
    losses(net(rows), labels, proxies).mean().backward()
    return proxies.grad


MISTAKES = (
    mean_of_gradients,
    gather_without_gradient,
    mean_of_the_processes_means,
    own_rows_alone,
    leftover_rows_dropped,
)


def compare(world: World, out: str) -> None:
    """Write each way's largest difference from the gradient of one process, as a share of the largest entry."""
    wanted = of_one_process()
    assert torch.equal(ours(ALONE), wanted)
    apart = {way.__name__: float((way(world) - wanted).abs().max() / wanted.abs().max()) for way in (ours, *MISTAKES)}
    apart["times_counted"] = float(parameters_behind_counted_by_all(world).mean())
    if world.is_first:
        Path(out).write_text(json.dumps(apart), encoding="utf-8")
