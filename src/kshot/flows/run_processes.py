"""Which flow runs have a living process on this machine, whoever started it and whether that one lives still.

Prefect's runner (3.8.8, runner/_starter_engine.py) starts each run as `python -m prefect.engine` with the
run's id in its environment. A process that bears it is that run's: no number that got a new owner can be mistaken.
"""

import fcntl
from collections.abc import Iterable
from pathlib import Path

import psutil

from kshot.lifecycle.project import project_lock

ID = "PREFECT__FLOW_RUN_ID"
ENGINE = "prefect.engine"


def alive(root: Path) -> frozenset[str]:
    """The ids of the flow runs whose process lives, and of the one that holds the project's scheduled retraining."""
    return frozenset({*_by_process(psutil.process_iter()), holder(root)} - {""})


def holder(root: Path) -> str:
    """The id of the scheduled run that goes on in this project; '' without one."""
    path = root / project_lock.SCHEDULED
    if not path.exists():
        return ""
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
    return ""


def _by_process(processes: Iterable[psutil.Process]) -> Iterable[str]:
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE and ENGINE in process.cmdline():
                yield process.environ().get(ID, "")
        except psutil.Error:
            continue  # it has ended, or is another user's
