"""Runs a function in several processes of this machine under torch's elastic agent, the engine of torchrun.

If one process ends early the agent ends all others, and the caller gets one error that names it and says why. Nothing
is restarted here: who runs the command again resumes from the last checkpoint.
"""

import json
import logging
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist

from kshot import errors
from kshot.errors import KshotError, StageFailed
from kshot.parallel.collectives import PeerLost
from kshot.parallel.share import World

HERE = "127.0.0.1"
WATCHED_EVERY = 1.0  # seconds between looks at whether the launching process still runs
# A process that lost its peer waits so long for the agent to see who ended first.
PEER_WAIT = 10.0
LINES = 5  # of a process's error output that are shown
AGAIN = "all processes were ended; run again, it continues from the last checkpoint"
AGENT_GRACE = 10  # seconds between SIGTERM and SIGKILL for the others
# The errors that a training may raise, by name, so that the launching process raises the same.
RAISED = {
    kind.__name__: kind
    for kind in (
        errors.ParamsError,
        errors.DataError,
        errors.CheckpointError,
        errors.TrainingDiverged,
        errors.NotConverged,
    )
}


def run_in_processes(
    function: Callable[..., None], arguments: tuple[Any, ...], size: int, backend: Literal["gloo", "nccl"]
) -> None:
    """Call `function(world, *arguments)` in `size` new processes, which can use `kshot.parallel.collectives`.

    `function` must be importable by name and `arguments` picklable. The output of the first process is this one's; that
    of the others is shown only in an error. Raises the first process's KshotError that one of RAISED names; StageFailed
    for a process that was killed or failed otherwise; KeyboardInterrupt if this process was told to stop. No process
    outlives the call, nor this process.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="kshot-processes-") as folder, _silent_agent():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=size,
            run_id="kshot",
            rdzv_backend="c10d",
            rdzv_endpoint=f"{HERE}:0",
            local_addr=HERE,
            max_restarts=0,
            shutdown_timeout=AGENT_GRACE,
            logs_specs=DefaultLogsSpecs(folder, redirects=dict.fromkeys(range(1, size), Std.ALL)),
        )
        try:
            elastic_launch(config, _work)(function, arguments, folder, backend, os.getpid())
        except ChildFailedError as failed:
            rank, failure = failed.get_first_failure()
            raise _error_of(rank, size, failure.exitcode, failure.signal_name(), Path(folder)) from None
        except SignalException:
            raise KeyboardInterrupt from None


def _work(function: Callable[..., None], arguments: tuple[Any, ...], folder: str, backend: str, parent: int) -> None:
    """The whole life of one process."""
    _end_with(parent)
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if backend == "nccl":
        torch.cuda.set_device(world.rank)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world.size))
    dist.init_process_group(backend)
    try:
        function(world, *arguments)
    except PeerLost as error:
        # Whoever ended first is the cause. The agent usually ends this process while it waits.
        time.sleep(PEER_WAIT)
        _leave(folder, world, error)
    except Exception as error:
        _leave(folder, world, error)
    dist.destroy_process_group()


def _leave(folder: str, world: World, error: Exception) -> None:
    """Write down why this process ends, and end it at once: the others may never join in an orderly farewell."""
    description = {"kind": type(error).__name__, "message": str(error), "trace": traceback.format_exc()}
    _note(Path(folder), world.rank).write_text(json.dumps(description), encoding="utf-8")
    os._exit(1)


def _error_of(rank: int, size: int, code: int, signal_name: str, folder: Path) -> KshotError:
    who = f"process {rank} of {size} of the training (counted from 0)"
    if signal_name == "SIGKILL":
        return StageFailed(f"{who} was ended by SIGKILL, often because memory ran out: see the system's log; {AGAIN}")
    note = _note(folder, rank)
    if not note.exists():
        how = f"was ended by {signal_name}" if code < 0 else f"ended with code {code}"
        error = StageFailed(f"{who} {how}; {AGAIN}")
        error.block = _first_words(folder, rank)
        return error
    found = json.loads(note.read_text(encoding="utf-8"))
    return error_from(who, found["kind"], found["message"], found["trace"])


def error_from(who: str, kind: str, message: str, trace: str) -> KshotError:
    """The error of the training for an exception of the process `who`: of the same class if RAISED names it."""
    if own := RAISED.get(kind):
        return own(message)
    if os.environ.get("KSHOT_DEBUG") == "1":
        print(trace, flush=True)
    return StageFailed(f"{who} failed: {kind}: {(message.splitlines() or [''])[0]}; {AGAIN}")


def _first_words(folder: Path, rank: int) -> tuple[str, ...]:
    """The first lines that a process which was not the first wrote to its error output."""
    found = [path.read_text(encoding="utf-8", errors="replace") for path in folder.glob(f"*/*/{rank}/stderr.log")]
    return tuple("".join(found).splitlines()[:LINES])


def _note(folder: Path, rank: int) -> Path:
    return folder / f"error-{rank}.json"


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, also when that was killed and could end nobody."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCHED_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _silent_agent() -> Iterator[None]:
    """Inside the block the agent logs nothing: the error of this module says what a person needs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
