"""Servers of a test: each in its own process group, awaited, and ended with the block."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kshot.lifecycle.project import processes

PATIENCE_S = float(os.environ.get("KSHOT_TEST_PATIENCE_S", "240"))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def process(command: list[str], names: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` while the block runs, with `names` in its environment and its words in `log`."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **names},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        processes.end(started, grace_s=3.0)


def wait_for(started: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    """Return when an HTTP server answers a request for `path`, whatever it answers short of an error of its own."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert started.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
        with (
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
            suppress(OSError, http.client.HTTPException),
        ):
            connection.request("GET", path)
            if connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                return
        time.sleep(0.2)
