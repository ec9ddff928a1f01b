"""Prefect's server behind kshot's guard, on 127.0.0.1 alone.

    python -P flows/prefect_server.py PORT HOME [--ends-with-parent]

HOME is PREFECT_HOME, where the token lies. With --ends-with-parent the standard input is a pipe whose other end the
starting process holds: the pipe closes with that process, also where it is killed, and the server ends.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from kshot.lifecycle.servers.guard import App, guarded
from kshot.lifecycle.servers.server_token import CLIENT, SERVER, token

ENDS_WITH_PARENT = "--ends-with-parent"  # flows/server.py, which must not be imported here, says the same


def main(port: int, home: Path) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(application(port, home), host="127.0.0.1", port=port, log_level="error", lifespan="on")


def application(port: int, home: Path) -> App:
    """Return Prefect's application with the token as its password, behind the guard."""
    secret = token(home)
    os.environ[SERVER] = os.environ[CLIENT] = secret
    # The guard refuses other origins first; the default of Prefect is to allow all of them.
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"http://127.0.0.1:{port}"
    from prefect.server.api.server import create_app

    return guarded(create_app(final=True), secret, checks_token=True)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read, whose lock the interpreter wants when it ends
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    if ENDS_WITH_PARENT in sys.argv:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    main(int(sys.argv[1]), Path(sys.argv[2]))
