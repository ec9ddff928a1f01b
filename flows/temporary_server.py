"""Prefect's temporary server, which ends when the process that started it does, also where that one was killed.

    python -P flows/temporary_server.py PORT

Its standard input is a pipe whose other end the starting process holds: the pipe closes with that process.
"""

import os
import signal
import sys
import threading


def main(port: int) -> None:
    """Serve Prefect's API on this machine until interrupted, or until standard input closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
    )


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read, whose lock the interpreter wants when it ends
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main(int(sys.argv[1]))
