"""Finds the flow runs that have a running process on this machine, even if the process that started it has ended.

Prefect's runner (3.8.8, runner/_starter_engine.py) starts each run as `python -m prefect.engine` with the
run's id in its environment. The id identifies the process even if a process number was reused.
"""

import fcntl
from collections.abc import Iterable
from pathlib import Path

import psutil

from kshot.lifecycle.project import project_lock

ID = "PREFECT__FLOW_RUN_ID"
ENGINE = "prefect.engine"


def alive(root: Path) -> frozenset[str]:
    """The ids of the flow runs with a running process, and of the one that holds the scheduled retraining's lock."""
    return frozenset({*_by_process(psutil.process_iter()), holder(root)} - {""})


def holder(root: Path) -> str:
    """The id of the scheduled run in progress in this project; '' if there is none."""
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
