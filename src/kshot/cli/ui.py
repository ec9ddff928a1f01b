"""`kshot ui`: serves MLflow's and Prefect's pages for this project's records until Ctrl-C."""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kshot.errors import KshotError
from kshot.lifecycle.project import no_telemetry
from kshot.lifecycle.servers.guard import sign_in_address
from kshot.lifecycle.servers.server_token import token
from kshot.redaction import shareable

MLFLOW_PORT, PREFECT_PORT = 5000, 4200  # in the links between runs; flows/links.py and flows/server.py have the same
START_S = 120.0  # an MLflow server needs 8 s on two cores, and far more on a busy machine

DESCRIPTION = """\
Serve MLflow's pages (runs, curves, models, reports) and Prefect's (flows,
logs, results) on this project's records. Prints both addresses, which sign
your browser in; Ctrl-C ends both. Only this machine can reach them, and no
other page or user of it.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `ui` to the command line."""
    top = verbs.add_parser("ui", help="show runs, models and flows in the browser", description=DESCRIPTION)
    top.add_argument(
        "--mlflow-port", type=int, default=MLFLOW_PORT, metavar="PORT", help="default: 5000, or the next free one"
    )
    top.add_argument(
        "--prefect-port", type=int, default=PREFECT_PORT, metavar="PORT", help="default: 4200, or the next free one"
    )
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Start the servers that are not already running elsewhere, print the addresses, and wait."""
    home = no_telemetry.keep_prefect_in(root)
    from kshot.flows import server as prefect

    mlflow_address = shareable(os.environ.get("MLFLOW_TRACKING_URI", ""))
    prefect_address = shareable(prefect.find(home) or "")
    ours = prefect.running(home) if prefect_address else None  # by `kshot schedule`
    with contextlib.ExitStack() as running:
        servers = []
        if not mlflow_address.startswith("http"):
            port = free_port(options.mlflow_port)
            servers.append(running.enter_context(server(root, *mlflow_command(root, home, port), port)))
            mlflow_address = sign_in_address(f"http://127.0.0.1:{port}", token(home))
        if not prefect_address:
            port = free_port(options.prefect_port)
            prefect_address = ours = f"http://127.0.0.1:{port}/api"
            servers.append(running.enter_context(server(root, *prefect.command(home, port), port)))
        prefect_address = prefect_address.removesuffix("/api")
        if ours:
            prefect_address = sign_in_address(prefect_address, token(home))
        print("starting ...", flush=True)
        for process, port in servers:
            wait_for(process, port)
        print(f"MLflow   runs, curves, models, reports:\n  {mlflow_address}")
        print(f"Prefect  flows, their logs and results:\n  {prefect_address}")
        if "#" in mlflow_address + prefect_address:
            print("Each address signs this browser in; keep it to yourself. After that it works without the last part.")
        if any(port not in (MLFLOW_PORT, PREFECT_PORT) for _, port in servers):
            print(
                f"the runs' links to each other name ports {MLFLOW_PORT} and {PREFECT_PORT}: free these to follow them"
            )
        if not servers:
            return 0
        print("Ctrl-C ends both" if len(servers) == 2 else "Ctrl-C ends it", flush=True)
        try:
            while all(process.poll() is None for process, _ in servers):
                time.sleep(0.5)
        except KeyboardInterrupt:
            return 0
    raise KshotError("a server ended by itself; its last lines are in .kshot/ui.log")


def mlflow_command(root: Path, home: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves this project's MLflow store, and its environment."""
    from kshot.lifecycle.servers import mlflow_server
    from kshot.lifecycle.tracking import store

    command = [sys.executable, "-P", "-m", mlflow_server.__name__, str(root / "mlruns" / "artifacts"), str(port)]
    return [*command, str(home)], {mlflow_server.STORE: store.connect(root)}


@contextlib.contextmanager
def server(root: Path, command: list[str], names: dict[str, str], port: int) -> Any:
    """Run `command` in its own process group, with output in .kshot/ui.log; end the group with the block."""
    with (root / ".kshot" / "ui.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={name: value for name, value in {**os.environ, **names}.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process, port
    finally:
        from kshot.lifecycle.project import processes

        processes.end(process, grace_s=3.0)  # they have no state that a kill could lose


def free_port(first: int) -> int:
    """Return the first port from `first` on that no process listens on."""
    for port in range(first, first + 100):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return port
    raise KshotError(f"ports {first} to {first + 99} are all taken; name another with --mlflow-port or --prefect-port")


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server answers on `port`. Raises KshotError if it ends or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise KshotError("a server did not start; its last lines are in .kshot/ui.log")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise KshotError(f"a server did not answer within {START_S:.0f} s; its last lines are in .kshot/ui.log")
