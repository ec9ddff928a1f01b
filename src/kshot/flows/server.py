"""Prefect's servers: a temporary one, started during the imports and unaffected by Ctrl-C, and one that schedules.

Prefect would start the same server by itself, but only after importing all of it a second time into the flow's process
(5 s on two cores), and in the terminal's process group: Ctrl-C would end it together with the flow, which could then
no longer report that it was interrupted. Nothing here imports prefect, so that the server starts without delay.

Both accept requests only from their own pages and from programs that know the token (kshot.lifecycle.servers.guard).
"""

import atexit
import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import psutil

from kshot import full_disk
from kshot.errors import KshotError
from kshot.lifecycle.project import no_telemetry, processes
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.servers import server_token

NOTE = "server.json"  # in PREFECT_HOME: the server that schedules, while it is up
PAGES = "http://127.0.0.1:4200"  # of `kshot schedule` and `kshot ui`
# Started by its path, because a project may have a package called flows in its folder.
SCRIPT = Path(__file__).with_name("prefect_server.py")
ENDS_WITH_PARENT = "--ends-with-parent"
TEMPORARY = {
    # The switches of prefect.server.api.server.SubprocessASGIServer.
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # No flow here uses a block; a server with pages writes the kinds of blocks, for its page of them (1 s).
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",
}
START_S = 600.0  # 3 s on an idle machine, 3 min on two cores with ten other processes that also created the database


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that is starting: its process, its port and its log file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def api(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"http://127.0.0.1:{self.port}/api"

    def wait(self) -> None:
        """Return when the server answers. Raises KshotError if it does not."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if responds(self.api):
                return
            time.sleep(0.1)
        said = self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""
        if full_disk.no_room(self.log.parent) or full_disk.says_full(said):
            place = self.log.parent
            raise KshotError(f"the disk is full at {place}; free some space and run the same command to continue")
        raise KshotError(f"Prefect's server did not start; its last lines are in {self.log}")


def launch(root: Path) -> Server | None:
    """Start Prefect's temporary server on the project's own PREFECT_HOME; it ends with this process.

    Returns None if PREFECT_API_URL names a server, or if the project's own is running. Otherwise sets PREFECT_API_URL:
    call it before anything imports prefect, and call the server's `wait` before the flow.
    """
    home = no_telemetry.keep_prefect_in(root)
    if find(home):
        return None
    port = free_port()
    log = home / "temporary-server.log"
    process = _start(
        [*command(home, port)[0], ENDS_WITH_PARENT],
        TEMPORARY,
        log,
        stdin=subprocess.PIPE,  # kept open by this process, and closed when it ends
    )
    # Registered before prefect is imported, and so run after prefect has sent its last log lines to the server.
    atexit.register(processes.end, process)
    started = Server(process, port, log)
    use(home, started.api)
    # This server has no pages and has ended when somebody follows a link: `kshot ui` shows them at this address.
    os.environ.setdefault("PREFECT_UI_URL", PAGES)
    return started


def start_lasting(home: Path, port: int) -> Server:
    """Start the scheduling server on PREFECT_HOME `home`, and write its address to NOTE. The caller must end it."""
    log = home / "server.log"
    process = _start(*command(home, port), log)
    started = Server(process, port, log)
    write_text(home / NOTE, json.dumps({"api": started.api, "pid": process.pid}))
    return started


def find(home: Path) -> str | None:
    """Use the server that PREFECT_API_URL names, or the scheduling server on PREFECT_HOME `home`.

    Returns its address, or None if there is neither. Call it before anything imports prefect.
    """
    named, lasting = os.environ.get("PREFECT_API_URL"), running(home)
    if lasting and named in (None, "", lasting):
        use(home, lasting)
    return named or lasting


def use(home: Path, api: str) -> None:
    """Make this process and its children use the server on PREFECT_HOME `home`, which requires the token."""
    os.environ["PREFECT_API_URL"] = api
    os.environ[server_token.CLIENT] = server_token.token(home)


def running(home: Path) -> str | None:
    """The API address of the scheduling server on PREFECT_HOME `home`; None if none answers."""
    try:
        note = json.loads((home / NOTE).read_text(encoding="utf-8"))
        api, process = str(note["api"]), psutil.Process(int(note["pid"]))
        # A process that took over the port of a killed server must not receive the token.
        return api if _is_server(process, home) and responds(api) else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def end_left_behind(home: Path) -> None:
    """End the server of a scheduler that was killed, and remove its note."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        left = psutil.Process(int(json.loads((home / NOTE).read_text(encoding="utf-8"))["pid"]))
        if _is_server(left, home):
            os.killpg(left.pid, signal.SIGINT)
            left.wait(START_S)
    forget(home)


def _is_server(process: psutil.Process, home: Path) -> bool:
    """Whether a process is a Prefect server of this user on PREFECT_HOME `home`.

    A process number may have been reused, and the note of a copied project names the original's server.
    """
    if process.uids().real != os.getuid():
        return False
    command = process.cmdline()
    if any(Path(part).name == SCRIPT.name for part in command):
        return str(home) in command
    return {"prefect", "server"} <= {*command} and process.environ().get("PREFECT_HOME") == str(
        home
    )  # earlier versions


def forget(home: Path) -> None:
    """Remove the note: no server schedules on this PREFECT_HOME any more."""
    (home / NOTE).unlink(missing_ok=True)


def responds(api: str, timeout_s: float = 5.0) -> bool:
    """Whether a healthy Prefect server answers at the API address `api`."""
    at = urllib.parse.urlsplit(api)
    kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
    connection = kind(at.hostname or "", at.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{at.path}/health")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port(first: int = 0) -> int:
    """A free port of this machine: the first from `first` on, or any."""
    for port in range(first, first + 100):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port if first else 0))
            return int(free.getsockname()[1])
    raise KshotError(f"ports {first} to {first + 99} are all taken; end something that listens there")


def claim_port(first: int) -> int:
    """Reserve a free port from `first` on until this process ends, because a server takes seconds to bind its port.

    Otherwise two schedulers that start at once would take the same port, and one would use the other's server.
    """
    for port in range(first, first + 100):
        with contextlib.suppress(OSError):  # reserved by another process or user
            path = Path(tempfile.gettempdir()) / f"kshot-port-{port}.lock"
            claim = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(claim)
                raise
            if free_port(port) == port:
                return port
            os.close(claim)
    raise KshotError(f"ports {first} to {first + 99} are all taken; end something that listens there")


def command(home: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The command of a server with pages on PREFECT_HOME `home`, and its environment; "" removes a variable."""
    # The pages load their data from this address; the default is port 4200, whatever the actual port.
    names = {"PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_URL": ""}
    return [sys.executable, "-P", str(SCRIPT), str(port), str(home)], names


def _start(
    command: list[str], names: dict[str, str], log: Path, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Run a server in its own process group; an empty value removes a variable from the environment."""
    environment = {**os.environ, **names}
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={name: value for name, value in environment.items() if value},
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
