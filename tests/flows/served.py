"""A schedule that is served during the tests, and a webhook that receives its notifications."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from kshot.flows import notify
from tests.flows import project

POLL = {"PREFECT_RUNNER_POLL_FREQUENCY": "2"}  # Prefect's runner looks every 10 s for runs that are due
PATIENCE_S = float(os.environ.get("KSHOT_TEST_PATIENCE_S", "240"))


@dataclasses.dataclass
class Served:
    """A `kshot schedule` that goes on, and what it has said so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def until(self, happened: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := happened()):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{what} did not happen:\n{self.said()}"
            time.sleep(0.5)
        return found

    def until_said(self, pattern: str) -> None:
        self.until(lambda: re.search(pattern, self.said()), pattern)


@contextmanager
def serving(root: Path, *arguments: str, names: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`kshot schedule ...` until the block ends; a person's Ctrl-C ends it. `names`: more of the environment."""
    heard_by = {key: os.environ[key] for key in (notify.NAME,) if key in os.environ}
    log = root.parent / f"said-{time.monotonic_ns()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kshot.cli", "schedule", *arguments],
            cwd=root,
            env={**project.environment(), **POLL, **heard_by, **(names or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Served(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(120)
            finally:
                process.kill()


@contextmanager
def webhook(heard: list[dict[str, str]]) -> Iterator[str]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Hook) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/"
        listening.shutdown()
