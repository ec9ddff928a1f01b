"""One of several processes on a Ray cluster: joins the others and calls the function."""

import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kshot.parallel.collectives import PeerLost
from kshot.parallel.share import World

PEER_LOST = PeerLost.__name__


@dataclass(frozen=True)
class MeetingPoint:
    """The address of a process's node, and a port that is free there."""

    address: str
    port: int


@dataclass(frozen=True)
class Job:
    """The job that all processes share.

    size     their number
    backend  how they talk
    threads  of each
    master   where they meet, an address of torch.distributed
    root     the working directory
    output   the file of the first one's output, which all nodes see
    """

    size: int
    backend: Literal["gloo", "nccl"]
    threads: int
    master: str
    root: str
    output: str


@dataclass(frozen=True)
class Failure:
    """An exception of the function: its class, text and traceback."""

    kind: str
    message: str
    trace: str


class Worker:
    """The process, as Ray's actor."""

    def place(self) -> MeetingPoint:
        """The node and port of this process."""
        import ray

        address = ray.util.get_node_ip_address()
        with socket.socket() as free:
            free.bind(("", 0))
            return MeetingPoint(address, int(free.getsockname()[1]))

    def work(self, function: Callable[..., None], arguments: tuple[Any, ...], rank: int, job: Job) -> Failure | None:
        """Call `function(world, *arguments)`; None if it returned, else its exception."""
        import torch
        import torch.distributed as dist

        os.chdir(job.root)
        if rank == 0:
            descriptor = os.open(job.output, os.O_WRONLY | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
        torch.set_num_threads(job.threads)
        try:
            if job.size > 1:
                _talk_through_this_address()
                if job.backend == "nccl":
                    torch.cuda.set_device(0)  # Ray shows a process only its own GPU
                try:
                    dist.init_process_group(job.backend, init_method=job.master, rank=rank, world_size=job.size)
                except RuntimeError as error:  # another one ended before all had met
                    raise PeerLost(str(error)) from error
            function(World(rank, job.size), *arguments)
            if job.size > 1:
                dist.destroy_process_group()
        except Exception as error:
            return Failure(type(error).__name__, str(error), traceback.format_exc())
        return None


def _talk_through_this_address() -> None:
    """Let gloo and NCCL use the network of Ray's address: a host's name often means its loopback interface."""
    import psutil
    import ray

    own = ray.util.get_node_ip_address()
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == own for one in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
