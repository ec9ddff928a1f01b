"""A server with the responses that a test gives it, to see what a client sends and how it takes each."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

LIMITS = {
    "body_bytes": 1000,
    "import_bytes": 1000,
    "image_pixels": 1000,
    "images": 2,
    "requests_per_second": None,
    "name_characters": 20,
}
SERVICE = {
    "project": "birds",
    "model": {"name": "birds", "version": "3", "alias": "champion"},
    "calibrated": True,
    "classifier": "prototype",
    "limits": LIMITS,
    "log": "off",
}
STATE = {"model_version": "3", "revision": 7}


class Recorded(http.server.ThreadingHTTPServer):
    """A server that keeps each request as (method, path, headers, body) and sends `responses` by method and path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Replies)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.responses: dict[str, tuple[int, bytes]] = {}
        self.seconds = 0.0  # that it takes for each

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Replies(http.server.BaseHTTPRequestHandler):
    server: Recorded

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        status, response = self.server.responses.get(f"{self.command} {self.path.partition('?')[0]}", (404, b""))
        time.sleep(self.server.seconds)
        self.send_response(status)
        self.send_header("Content-Length", str(len(response)))
        with contextlib.suppress(BrokenPipeError):  # the client did not wait
            self.end_headers()
            self.wfile.write(response)

    do_POST = do_DELETE = do_PATCH = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def recorded() -> Iterator[Recorded]:
    """The server, running; it knows /v1/service."""
    with Recorded() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.responses["GET /v1/service"] = (200, json.dumps(SERVICE).encode())
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
