"""Runs due retrainings in a thread, and stops those in progress at its end."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule as schedules
from kshot.lifecycle.pipeline.schedule import Schedule

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

RETRY_S = 5.0  # pause before another attempt, if the server does not answer
Say = Callable[[str], None]
GRACE_S = 60.0  # time for a stopped training to write its checkpoint and end


@contextlib.contextmanager
def runner(root: Path, say: Say) -> Iterator[None]:
    """Run due retrainings in a thread during the block; at its end, stop those in progress and wait for them."""
    from kshot.flows.schedules import schedule as times

    ready, stop = threading.Event(), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
    refused: list[BaseException] = []

    async def go(schedule: Schedule, served: "list[RunnerDeployment]") -> None:
        task = asyncio.current_task()
        assert task is not None
        running[:] = [(asyncio.get_running_loop(), task)]
        await times.serve(root, schedule, served, ready.set)

    def work() -> None:
        while not stop.is_set() and (schedule := schedules.read(root)) is not None:
            try:
                asyncio.run(go(schedule, times.deployments(root, schedule)))
            except asyncio.CancelledError:
                return
            except Exception as error:
                if not ready.is_set():
                    refused.append(error)
                    ready.set()
                    return
                # Prefect's runner gives up after 30 s without its server.
                say(f"Prefect's server does not answer ({type(error).__name__}); trying again")
                stop.wait(RETRY_S)

    thread = threading.Thread(target=work, name="Prefect's runner", daemon=True)
    thread.start()
    try:
        ready.wait()
        if refused:
            raise KshotError(f"Prefect refused the schedule: {refused[0]}") from refused[0]
        yield
    finally:
        stop.set()
        end_runs()
        for loop, task in running:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


def end_runs() -> None:
    """Stop the runs in progress, as Ctrl-C does, and wait until they have reported it."""
    runs = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            if "prefect.engine" in child.cmdline():
                runs.append(child)
    for run in runs:
        with contextlib.suppress(psutil.Error):
            run.send_signal(signal.SIGINT)
    psutil.wait_procs(runs, timeout=GRACE_S)
