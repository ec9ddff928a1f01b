"""Prefect's server behind kshot's guard, only on 127.0.0.1.

    python -P flows/prefect_server.py PORT HOME [--ends-with-parent]

HOME is PREFECT_HOME, which contains the token. With --ends-with-parent the standard input is a pipe from the starting
process: it closes when that process ends, even if killed, and then the server ends.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from kshot.lifecycle.project import quick_end
from kshot.lifecycle.project.permanent_imports import permanent_imports
from kshot.lifecycle.servers.guard import App, guarded
from kshot.lifecycle.servers.server_token import CLIENT, SERVER, token

ENDS_WITH_PARENT = "--ends-with-parent"  # the same as in flows/server.py, which must not be imported here


def main(port: int, home: Path) -> None:
    """Serve until interrupted."""
    with permanent_imports():
        import uvicorn

        served = application(port, home)
    parent = os.getppid()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # A service manager sends SIGTERM to all processes of a service at once. Those that report to this server
            # wait for it, some for minutes; their parent interrupts it when they have ended.
            if sig != signal.SIGTERM or os.getppid() != parent:
                super().handle_exit(sig, frame)

    server = Server(uvicorn.Config(served, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    server.run()
    if not server.started:
        sys.exit(1)


def application(port: int, home: Path) -> App:
    """Return Prefect's application with the token as its password, behind the guard."""
    secret = token(home)
    os.environ[SERVER] = os.environ[CLIENT] = secret
    # The guard refuses other origins first; Prefect's default is to allow all of them.
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"http://127.0.0.1:{port}"
    from prefect.server.api.server import create_app

    return guarded(create_app(final=True), secret, checks_token=True)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read, whose lock the interpreter needs at exit
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    if ENDS_WITH_PARENT in sys.argv:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    quick_end.prepare()
    main(int(sys.argv[1]), Path(sys.argv[2]))
    quick_end.noted(0)
