"""Runs DVC's commands in forks of one process that has imported DVC: a new interpreter takes half a second for each."""

import atexit
import dataclasses
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from kshot.lifecycle.project import processes
from kshot.lifecycle.project.processes import OnOutput

# Started by its path: it needs nothing of kshot, and with -P no module of the working folder.
SCRIPT = Path(__file__).with_name("dvc_fork_server.py")

_server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
_one_at_a_time = threading.Lock()


def run(
    arguments: Sequence[str], root: Path, *, on_output: OnOutput, timeout_s: float, env: Mapping[str, str]
) -> int | None:
    """Run `dvc ARGUMENTS` in `root` like `processes.run`; another thread's command is waited for.

    Returns the exit code, None if the time ran out.
    """
    with _one_at_a_time:
        return processes.follow(_fork(arguments, root, env), on_output, timeout_s)


@dataclasses.dataclass
class Fork:
    """A command that runs in a fork of `server`; `pid` is its process, or the server's if that ended before."""

    server: subprocess.Popen[bytes]
    channel: socket.socket
    stdout: IO[bytes]
    pid: int = 0
    returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while the command runs."""
        if self.returncode is None and select.select([self.channel], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Return the exit code at the command's end."""
        if self.returncode is None:
            line = _line(self.channel)
            self.returncode = int(line) if line else _end() or -signal.SIGKILL
        return self.returncode


def _fork(arguments: Sequence[str], root: Path, env: Mapping[str, str]) -> Fork:
    reader, writer = os.pipe()
    try:
        server, channel = _started(writer, env)
        request = {"arguments": list(arguments), "folder": str(root), "environment": dict(env)}
        fork = Fork(server, channel, os.fdopen(reader, "rb"), server.pid)
        try:
            socket.send_fds(channel, [b"\0"], [writer])
            channel.sendall(f"{json.dumps(request)}\n".encode())
            fork.pid = int(_line(channel) or server.pid)
        except ConnectionError:
            pass  # the server has ended, which `wait` finds
        return fork
    finally:
        os.close(writer)


def _started(output: int, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The server and the connection to it; its first words go to `output`."""
    global _server
    if _server is not None and _server[0].poll() is not None:
        _end()
    if _server is None:
        ours, its = socket.socketpair()
        with its:
            process = subprocess.Popen(
                [sys.executable, "-P", str(SCRIPT), str(its.fileno())],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[its.fileno()],
                start_new_session=True,  # Ctrl-C ends only the command
            )
        _server = process, ours
        atexit.register(_end)
    return _server


def _end() -> int:
    """End the server, if there is one. Returns its exit code."""
    global _server
    atexit.unregister(_end)
    if _server is None:
        return 0
    process, channel = _server
    _server = None
    channel.close()
    return process.wait()


def _forget() -> None:
    global _server
    _server = None


os.register_at_fork(after_in_child=_forget)  # two processes on one connection would read each other's exit codes


def _line(channel: socket.socket) -> str:
    """The next line of the server; empty if it has ended."""
    found = b""
    while not found.endswith(b"\n"):
        try:
            byte = channel.recv(1)
        except ConnectionError:
            byte = b""
        if not byte:
            return ""
        found += byte
    return found.decode()
