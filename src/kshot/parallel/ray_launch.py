"""Runs a function in several processes on the nodes of a Ray cluster, as `launch` does on this machine.

Ray chooses the nodes and notices what is lost; the processes talk through torch.distributed alone. If a process is
lost, the others are ended and all begin again, as often as RESTARTS says: the function resumes from its last
checkpoint, which lies where all nodes see it.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from kshot.errors import ParamsError, StageFailed
from kshot.parallel.launch import error_from
from kshot.parallel.ray_worker import PEER_LOST, Failure, Job, MeetingPoint, Worker

RESTARTS = 3  # of all processes, after one was lost
ROOM_IN = 600.0  # seconds for a place on a cluster that is full, or that lost a node
NAMED_IN = 120.0  # seconds in which Ray names the process that others lost
ALSO_IN = 5.0  # seconds in which it names others that are lost too
SOON = 20.0  # seconds until a line says what the launch is waiting for
LOOK_S = 0.2


class _Lost(Exception):
    """A process is gone."""


@dataclass(frozen=True)
class Wanted:
    """`size` processes with a GPU each or none, and so many processors each."""

    size: int
    on_gpus: bool
    threads: int

    @property
    def each(self) -> dict[str, float]:
        """The resources of one process on the cluster."""
        return {"CPU": self.threads, **({"GPU": 1} if self.on_gpus else {})}

    @property
    def backend(self) -> Literal["gloo", "nccl"]:
        """The backend of the processes' communication."""
        return "nccl" if self.on_gpus else "gloo"


def run_on_ray(
    ray: ModuleType, function: Callable[..., None], arguments: tuple[Any, ...], wanted: Wanted, folder: Path
) -> None:
    """Call `function(world, *arguments)` in `wanted.size` processes of the cluster that `ray` is connected to.

    `function` must be importable by name on every node, and `arguments` picklable. All nodes see `folder`, through
    which the first process's output comes here while it runs. Raises ParamsError for a cluster that is too small, the
    function's own KshotError that `launch.RAISED` names, and StageFailed for processes that were lost too often or
    that failed otherwise. No process outlives the call.
    """
    has = ray.cluster_resources()
    for name, number in wanted.each.items():
        if has.get(name, 0) < wanted.size * number:
            raise ParamsError(
                f"train.processes is {wanted.size}, which needs {wanted.size * number:g} {name}s of the Ray cluster; "
                f"it has {has.get(name, 0):g}: lower it, or add a node"
            )
    for restart in range(RESTARTS + 1):
        try:
            with tempfile.TemporaryDirectory(prefix="ray-processes-", dir=folder) as shared:
                _run_once(ray, function, arguments, wanted, Path(shared))
            return
        except _Lost as lost:
            if restart == RESTARTS:
                raise StageFailed(
                    f"{lost}; all processes were ended, for the {RESTARTS + 1}th time; run again, it goes on from the "
                    "last checkpoint"
                ) from None
            print(f"{lost}; all processes begin again from the last checkpoint", flush=True)


def _run_once(
    ray: ModuleType, function: Callable[..., None], arguments: tuple[Any, ...], wanted: Wanted, shared: Path
) -> None:
    with _workers(ray, wanted) as workers:
        places = _places(ray, workers, wanted)
        output = shared / "output"
        output.touch()
        master = f"tcp://{places[0].address}:{places[0].port}"
        job = Job(wanted.size, wanted.backend, wanted.threads, master, str(Path.cwd()), str(output))
        tasks = {worker.work.remote(function, arguments, rank, job): rank for rank, worker in enumerate(workers)}
        with output.open("rb") as log:
            _wait(ray, tasks, [place.address for place in places], lambda: _pass_on(log.read()))


def _wait(ray: ModuleType, tasks: dict[Any, int], nodes: list[str], look: Callable[[], None]) -> None:
    """Return when all tasks have ended well. Raises the error of one that did not, _Lost if one is gone."""
    size, deadline = len(tasks), float("inf")
    lost: dict[int, str] = {}
    without_peer = -1
    while tasks and time.monotonic() < deadline:
        ended, _ = ray.wait(list(tasks), num_returns=1, timeout=LOOK_S)
        look()
        for task in ended:
            rank = tasks.pop(task)
            try:
                failure: Failure | None = ray.get(task)
            except ray.exceptions.RayError as error:
                lost[rank] = (
                    f"process {rank} of {size} of the training (counted from 0), on node {nodes[rank]}, was lost"
                )
                lost[rank] += f" ({_first(error)})"
                deadline = min(deadline, time.monotonic() + ALSO_IN)
                continue
            if failure is not None and failure.kind == PEER_LOST:
                without_peer, deadline = rank, min(deadline, time.monotonic() + NAMED_IN)
            elif failure is not None:
                who = f"process {rank} of {size} of the training (counted from 0), on node {nodes[rank]},"
                raise error_from(who, failure.kind, failure.message, failure.trace)
    if lost:
        raise _Lost("; ".join(lost[rank] for rank in sorted(lost)))
    if without_peer >= 0:
        raise _Lost(f"process {without_peer} of {size} of the training lost its connection to another process")


@contextmanager
def _workers(ray: ModuleType, wanted: Wanted) -> Iterator[list[Any]]:
    """The processes, which wait for their places on the cluster, killed after the block."""
    made = ray.remote(Worker)
    options = {"num_cpus": wanted.threads, "num_gpus": int(wanted.on_gpus), "max_restarts": 0}
    workers = [made.options(**options).remote() for _ in range(wanted.size)]
    try:
        yield workers
    finally:
        for worker in workers:
            ray.kill(worker)


def _places(ray: ModuleType, workers: list[Any], wanted: Wanted) -> list[MeetingPoint]:
    """Where the processes are, once all of them are. Raises StageFailed if there is no room, _Lost."""
    places = [worker.place.remote() for worker in workers]
    _, missing = ray.wait(places, num_returns=len(places), timeout=SOON)
    if missing:
        print(f"waiting for {len(missing)} of {wanted.size} processes to begin on the Ray cluster", flush=True)
        _, missing = ray.wait(places, num_returns=len(places), timeout=ROOM_IN)
    if missing:
        raise StageFailed(
            f"the Ray cluster had no room for {wanted.size} processes of {_shown(wanted.each)} in {ROOM_IN:.0f} s; "
            "add a node, or run again later: it continues from the last checkpoint"
        )
    try:
        return list(ray.get(places))
    except ray.exceptions.RayError as error:
        raise _Lost(f"a process of the training ended before it began ({_first(error)})") from error


def threads_here() -> int:
    """How many threads a process has: OMP_NUM_THREADS of this one, else 1, as a node has other work too."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdecimal() and int(named) else 1


def _pass_on(data: bytes) -> None:
    if data:
        print(data.decode("utf-8", errors="replace"), end="", flush=True)


def _shown(each: dict[str, float]) -> str:
    return " and ".join(f"{number:g} {name}" for name, number in each.items())


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
