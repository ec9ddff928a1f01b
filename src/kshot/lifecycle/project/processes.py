"""Runs a command and its children as one process group: streams its output and ends the whole group."""

import codecs
import contextlib
import math
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

# Called with each line, and with each part of a line that ends in a carriage return (a progress bar), for which
# `progress` is True.
OnOutput = Callable[[str, bool], None]

# On a stop signal a process finishes its current step (a stage writes its checkpoint); after this time it is killed.
GRACE_S = 15.0


class Running(Protocol):
    """A started process that leads its own group, as `subprocess.Popen` with start_new_session=True starts one."""

    pid: int
    returncode: int | None

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe from its output."""

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""

    def wait(self) -> int:
        """Return the exit code at its end."""


def run(
    command: Sequence[str],
    root: Path,
    *,
    on_output: OnOutput,
    timeout_s: float = math.inf,
    env: Mapping[str, str],
) -> int | None:
    """Run `command` in `root` with its children in one process group, which does not outlive this call.

    Returns the exit code, None if the time ran out.
    """
    process = subprocess.Popen(
        list(command),
        cwd=root,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return follow(process, on_output, timeout_s)


def follow(process: Running, on_output: OnOutput, timeout_s: float = math.inf) -> int | None:
    """Pass on the output of `process` until it ends; its group does not outlive this call.

    Returns the exit code, None if the time ran out.
    """
    deadline = time.monotonic() + timeout_s
    assert process.stdout is not None
    with process.stdout:
        try:
            in_time = _listen(process, on_output, deadline)
        finally:
            end(process)
    return process.returncode if in_time else None


def end(process: Running, grace_s: float = GRACE_S) -> None:
    """End `process` and its whole group: interrupted if it still runs, killed after `grace_s` seconds.

    `process` must lead its own group.
    """
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            deadline = time.monotonic() + grace_s
            while process.poll() is None and time.monotonic() < deadline:
                # Continue reading, or a stage with much output would block on a full pipe and never end.
                pipes = [process.stdout.fileno()] if process.stdout else []
                for pipe in select.select(pipes, [], [], 0.05)[0]:
                    if not os.read(pipe, 65536):
                        time.sleep(0.05)  # a closed pipe is always ready
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever outlived its parent
        process.wait()


def _listen(process: Running, hear: OnOutput, deadline: float) -> bool:
    """Pass on the output until the process closes it. Returns False at the deadline."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if not select.select([descriptor], [], [], min(left, 1.0))[0]:
            # A child that outlives the stage keeps the pipe open, so the stage's own end counts.
            if process.poll() is not None:
                break
            continue
        data = os.read(descriptor, 65536)
        pending += decoder.decode(data, final=not data)
        *pieces, pending = re.split(r"(?<=[\r\n])", pending)
        for piece in pieces:
            _pass_on(piece, hear)
        if not data:
            break
    _pass_on(pending, hear)
    process.wait()
    return True


def _pass_on(piece: str, hear: OnOutput) -> None:
    text = piece.rstrip("\r\n")
    if text:
        hear(text, piece.endswith("\r"))
