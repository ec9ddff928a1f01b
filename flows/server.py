"""Prefect's temporary server, kept out of a Ctrl-C's way."""

import contextlib
import os
import signal
from collections.abc import Iterator

from prefect.server.api.server import SubprocessASGIServer


@contextlib.contextmanager
def temporary() -> Iterator[None]:
    """Run Prefect's temporary server while the block runs, unless PREFECT_API_URL names a server.

    Prefect would start the same server by itself, but then Ctrl-C in a terminal ends it together with the flow, which
    can no longer report that it was interrupted. This one is started with SIGINT blocked, and ended afterwards.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    server = SubprocessASGIServer()  # the one instance: Prefect's client finds it running and uses it
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # children inherit the mask
    try:
        server.start(timeout=120)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    try:
        yield
    finally:
        server.stop()
