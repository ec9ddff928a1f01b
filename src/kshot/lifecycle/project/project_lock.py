"""Allows one writing command per project, with a lock that the kernel releases whenever its holder ends."""

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
SCHEDULED = layout.STATE / "scheduled.lock"  # of a running scheduled retraining (flows/at_commit.py)
SWEEP = layout.STATE / "sweep.lock"  # of `kshot sweep`, whose trials work in their own worktrees
ROOM = 512  # bytes of the file, in which a holder has room
SERVING = layout.STATE / "serving.lock"  # of `kshot schedule`, which does not block other commands


@dataclasses.dataclass(frozen=True)
class Holder:
    """The process that holds the lock: its id, its command and its start (local time, ISO 8601)."""

    pid: int
    command: str
    since: str


@contextlib.contextmanager
def hold(root: Path, command: str, which: Path = LOCK) -> Iterator[None]:
    """Hold the lock of the project `root`, or its lock `which`, for `command` while the block runs.

    The process that already holds it may enter again, so that a flow takes the lock itself and a command may take it
    earlier. Raises Busy, which names the other process, its command and its start.
    """
    private_state(root)
    path = root / which
    # Opened without truncating: until the lock is ours, the content is the other holder's.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
        if not _acquired(file.fileno()):
            holder = _holder(path)
            if holder is not None and holder.pid == os.getpid():
                yield
                return
            # Without a name it may have been `holder` below, which takes the lock for a moment.
            if holder is not None or not _acquired(file.fileno()):
                raise Busy(_busy(holder))
        try:
            now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            _write(file.fileno(), json.dumps(dataclasses.asdict(Holder(os.getpid(), command, now))))
            yield
        finally:
            # The file is not removed: otherwise two processes could lock two files of the same name.
            _write(file.fileno(), "")


def holder(root: Path, which: Path) -> Holder | None:
    """The holder of the lock `which`, None if nobody holds it."""
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
    """Write over all that is there and leave the file as long as it is: `kshot prune` must work on a full disk."""
    os.pwrite(descriptor, text.encode().ljust(max(ROOM, os.fstat(descriptor).st_size)), 0)


def _holder(path: Path) -> Holder | None:
    """Read the holder of the lock; None if the holder does not write it within a second."""
    for _ in range(20):
        try:
            return Holder(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            time.sleep(0.05)  # a holder first takes the lock and writes its name a moment later
    return None


def _busy(holder: Holder | None) -> str:
    if holder is None:
        return "another kshot command works in this project; wait until it has ended, then try again"
    return (
        f"`{holder.command}` (process {holder.pid}) has been working in this project since {holder.since}; "
        f"wait until it has ended, or stop it with: kill -INT {holder.pid}"
    )
