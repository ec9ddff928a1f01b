"""Prefect's temporary server, started beside the imports and out of Ctrl-C's way.

Prefect would start the same server by itself, but only after importing all of it a second time into the flow's process
(5 s on two cores), and in the terminal's process group: Ctrl-C would end it together with the flow, which could then
no longer report that it was interrupted. Nothing here imports prefect, so that the server's start costs no waiting.
"""

import atexit
import dataclasses
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle import pipeline, quiet

START_S = 180.0  # 3 s on an idle machine; the first start ever also makes the database and compiles the imports


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that is starting: its process, its port and the file with its last words."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def wait(self) -> None:
        """Return when the server answers. Raises KshotError if it does not."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/api/health")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        raise KshotError(f"Prefect's temporary server did not start; its last words stand in {self.log}")


def launch(root: Path) -> Server | None:
    """Start Prefect's temporary server on the project's own PREFECT_HOME; it ends with this process.

    Returns None where PREFECT_API_URL names a server. Otherwise sets PREFECT_API_URL: call it before anything imports
    prefect, and call the server's `wait` before the flow.
    """
    home = quiet.keep_prefect_in(root)
    if os.environ.get("PREFECT_API_URL"):
        return None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = home / "temporary-server.log"
    # The command and the two switches are those of prefect.server.api.server.SubprocessASGIServer.
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"],
            env={
                **os.environ,
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # Registered before prefect is imported, and so run after prefect has sent its last log lines to the server.
    atexit.register(pipeline.end_group, process)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    return Server(process, port, log)
