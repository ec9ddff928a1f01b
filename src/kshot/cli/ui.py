"""`kshot ui`: MLflow's and Prefect's pages over this project's records, until Ctrl-C."""

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
from kshot.lifecycle import quiet

MLFLOW_PORT, PREFECT_PORT = 5000, 4200  # where runs link to each other; flows/links.py and flows/server.py say the same
# Eight processes of MLflow's server that judge language models by the clock; nothing here gives them work.
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
START_S = 120.0  # an MLflow server needs 8 s on two cores, far more on a busy machine


def add_parser(verbs: Any) -> None:
    """Add the verb `ui` to the command line."""
    top = verbs.add_parser(
        "ui",
        help="look at runs, models and flows in the browser",
        description="Serve MLflow's pages (runs, curves, models, reports) and Prefect's (flows, logs, results) on this "
        "project's records. Prints both addresses; Ctrl-C ends both. Only this machine can reach them.",
    )
    top.add_argument(
        "--mlflow-port", type=int, default=MLFLOW_PORT, metavar="PORT", help="default: 5000, or the next free one"
    )
    top.add_argument(
        "--prefect-port", type=int, default=PREFECT_PORT, metavar="PORT", help="default: 4200, or the next free one"
    )
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Start what is not already served elsewhere, print the addresses, and wait."""
    home = quiet.keep_prefect_in(root)
    from flows.server import running as served  # by `kshot schedule`

    mlflow_address = os.environ.get("MLFLOW_TRACKING_URI", "")
    prefect_address = os.environ.get("PREFECT_API_URL", "") or served(home) or ""
    with contextlib.ExitStack() as running:
        servers = []
        if not mlflow_address.startswith("http"):
            port = free_port(options.mlflow_port)
            mlflow_address = f"http://127.0.0.1:{port}"
            servers.append(running.enter_context(server(root, mlflow_command(root, port), NO_JOBS, port)))
        if not prefect_address:
            port = free_port(options.prefect_port)
            prefect_address = f"http://127.0.0.1:{port}"
            # The pages ask this address for their data; the default names port 4200 whatever the port is.
            names = {"PREFECT_UI_API_URL": f"{prefect_address}/api"}
            servers.append(running.enter_context(server(root, prefect_command(port), names, port)))
        print("starting ...", flush=True)
        for process, port in servers:
            wait_for(process, port)
        print(f"MLflow   {mlflow_address}   runs, curves, models, reports")
        print(f"Prefect  {prefect_address.removesuffix('/api')}   flows, their logs and results")
        if any(port not in (MLFLOW_PORT, PREFECT_PORT) for _, port in servers):
            print(
                f"the runs' links to each other name ports {MLFLOW_PORT} and {PREFECT_PORT}: free these to follow them"
            )
        print("Ctrl-C ends both" if len(servers) == 2 else "Ctrl-C ends it", flush=True)
        try:
            while all(process.poll() is None for process, _ in servers):
                time.sleep(0.5)
        except KeyboardInterrupt:
            return 0
    raise KshotError("a server ended by itself; its last words stand in .kshot/ui.log")


def mlflow_command(root: Path, port: int) -> list[str]:
    """Return the command that serves this project's MLflow store: one worker is enough for one person."""
    from kshot.lifecycle import store

    address = store.connect(root)
    folder = str(root / "mlruns" / "artifacts")
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", address),
        *("--artifacts-destination", folder, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)),
    ]


def prefect_command(port: int) -> list[str]:
    """Return the command that serves Prefect on PREFECT_HOME."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


@contextlib.contextmanager
def server(root: Path, command: list[str], names: dict[str, str], port: int) -> Any:
    """Run `command` in a process group of its own, its output in .kshot/ui.log, and end the group with the block."""
    with (root / ".kshot" / "ui.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **names},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process, port
    finally:
        from kshot.lifecycle import process_group

        process_group.end(process, grace_s=3.0)  # they keep nothing that a kill could lose


def free_port(first: int) -> int:
    """Return the first port from `first` on that nobody listens on."""
    for port in range(first, first + 100):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return port
    raise KshotError(f"ports {first} to {first + 99} are all taken; name another with --mlflow-port or --prefect-port")


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until something answers on `port`. Raises KshotError if the server ends or takes too long."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise KshotError("a server did not start; its last words stand in .kshot/ui.log")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise KshotError(f"a server did not answer within {START_S:.0f} s; its last words stand in .kshot/ui.log")
