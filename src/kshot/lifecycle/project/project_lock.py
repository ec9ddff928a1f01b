"""One writing command a project: a lock that the kernel frees when its holder ends, however it ends."""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from kshot.errors import Busy
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.private_state import private_state

LOCK = layout.STATE / "lock"
SCHEDULED = layout.STATE / "scheduled.lock"  # of the scheduled retraining that goes on (flows/at_commit.py)
SERVING = layout.STATE / "serving.lock"  # of `kshot schedule`, beside which people go on working


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who holds the project: process id, the command it runs and since when (local time, ISO 8601)."""

    pid: int
    command: str
    since: str


@contextlib.contextmanager
def hold(root: Path, command: str, which: Path = LOCK) -> Iterator[None]:
    """Hold the project `root` for `command` while the block runs, or its lock `which`.

    Entering again in the process that already holds it is fine, so that a flow takes the lock itself and a command
    may take it earlier. Raises Busy, which names the other process, its command and since when.
    """
    private_state(root)
    path = root / which
    # Opened without truncating: until the lock is ours, the content is the other holder's.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
        if not _acquired(file.fileno()):
            holder = _holder(path)
            if holder is None or holder.pid != os.getpid():
                raise Busy(_busy(holder))
            yield
            return
        try:
            now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            _write(file.fileno(), json.dumps(dataclasses.asdict(Holder(os.getpid(), command, now))))
            yield
        finally:
            # The file stays: removing it would let two processes lock two files of the same name.
            _write(file.fileno(), "")


def holder(root: Path, which: Path) -> Holder | None:
    """Who holds the lock `which`, None where nobody does."""
    path = root / which
    if not path.exists():
        return None
    with path.open("r+", encoding="utf-8") as file:
        return None if _acquired(file.fileno()) else _holder(path)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(path: Path) -> Holder | None:
    """Read who holds the lock; None when the holder does not say so within a second."""
    for _ in range(20):
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            time.sleep(0.05)  # it locks first and writes its name a moment later
    return None


def _busy(holder: Holder | None) -> str:
    if holder is None:
        return "another kshot command works in this project; wait until it has ended, then try again"
    return (
        f"`{holder.command}` (process {holder.pid}) has been working in this project since {holder.since}; "
        f"wait until it has ended, or stop it with: kill -INT {holder.pid}"
    )
