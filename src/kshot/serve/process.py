"""Runs the service in this process until a signal ends it."""

import contextlib
import os
import socket
from pathlib import Path

from kshot.errors import KshotError
from kshot.serve.running_address import http_address, recorded
from kshot.serve.settings import ServeSettings

MODULES = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client", "fsspec")
BACKLOG = 2048
FREED_BYTES = 256 * 2**20  # of memory that stay for the next request; what one unusual request took goes back
UNREAD_MS = 60_000  # how long what was sent may stay unread; then the kernel ends the connection


def require_installed() -> None:
    """Raise KshotError if a package of the extra `serve` is missing."""
    from importlib.util import find_spec

    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise KshotError(f"`kshot serve` needs {missing[0]}, which is not here: pip install 'kshot[pipeline,serve]'")


def serve(root: Path, settings: ServeSettings) -> None:
    """Serve the project at `root`; returns after a stop signal, when it has finished what was under way.

    Raises KshotError: if the port is taken, no version has the alias, or the store cannot be opened.
    """
    require_installed()
    import uvicorn

    from kshot.nets.memory import keep_freed_memory
    from kshot.serve.app import create_app
    from kshot.serve.rest.joined_writes import JoinedProtocol
    from kshot.serve.rest.json_log import log_to_stderr
    from kshot.serve.service import open_service

    # Else each forward pass maps its activations again, and the kernel clears them page by page.
    keep_freed_memory(FREED_BYTES)
    with listening(settings.host, settings.port) as at:
        service = open_service(root, settings)
        log_to_stderr()
        config = uvicorn.Config(
            create_app(service),
            http=JoinedProtocol,
            log_config=None,
            access_log=False,  # the service writes its own, with the request's id
            proxy_headers=False,  # a client could name itself as it likes
            server_header=False,
            timeout_graceful_shutdown=settings.stop_seconds,
        )
        host, port = at.getsockname()[:2]
        version = service.snapshot.version
        with recorded(root, host, port):
            print(
                f"serving {version.name} version {version.version} ({version.alias}) at "
                f"{http_address(host, port)}, process {os.getpid()}; Ctrl-C stops it",
                flush=True,
            )
            if line := service.shadow.at_start():
                print(line, flush=True)
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has stopped
                uvicorn.Server(config).run(sockets=[at])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at the address. Raises KshotError if that is taken or not this machine's."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind)
    except OSError as error:
        raise KshotError(f"{host} is no address of this machine ({error.strerror}); give another --host") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Each accepted socket has it, too. uvicorn closes a connection only when all that it wrote was read.
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise KshotError(f"{host}:{port} cannot be listened on ({error.strerror}); give another --port") from error
    return made
