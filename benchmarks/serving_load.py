"""Servers under load, for `serving.py`: starts one, asks it by clients on loopback, and measures it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil

from kshot.lifecycle.serving.package import request
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from kshot.serve.store import keys
from kshot.serve.store.gallery_store import open_store

EMPTY_ROUTE = "/v2/health/live"  # HTTP, the service's checks, log and metrics, and nothing else
STARTED = re.compile(r"serving \S+ version \S+ \(champion\) at http://([\d.]+):(\d+), process (\d+)")
STARTS_IN = 180  # seconds
Images = dict[str, list[Path]]


@dataclass(frozen=True)
class Load:
    """seconds: of each request; wall: of all of them; processor: the server's seconds; mib: its memory at the end."""

    seconds: list[float]
    wall: float
    processor: float
    mib: float

    def row(self, name: str) -> str:
        """A line of the table."""
        ms = 1000 * self.processor / len(self.seconds)
        return (
            f"| {name} | {len(self.seconds):,} | {self.rate:.1f} | {self.ms(50):.1f} | {self.ms(99):.1f} | {ms:.2f} | "
            f"{self.mib:.0f} |"
        )

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall

    def ms(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent)) * 1000


@dataclass(frozen=True)
class Server:
    """A server that runs at a port of loopback. process: its id; headers: of every request."""

    port: int
    process: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load(self, path: str, bodies: list[tuple[bytes, str]], count: int, clients: int) -> Load:
        """Send the bodies in turn, `count` in all, by clients that each keep one connection; without bodies, GET."""

        def client(number: int) -> list[float]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            taken = []
            for turn in range(number, count, clients):
                body, kind = bodies[turn % len(bodies)] if bodies else (None, "")
                headers = {**self.headers, **({"Content-Type": kind} if bodies else {})}
                began = time.perf_counter()
                connection.request("POST" if bodies else "GET", path, body, headers)
                answer = connection.getresponse()
                answer.read()
                taken.append(time.perf_counter() - began)
                assert answer.status == 200, answer.status
            return taken

        for body, kind in bodies:  # the first requests fill caches
            headers = {**self.headers, "Content-Type": kind}
            httpx.post(f"{self.address}{path}", content=body, headers=headers, timeout=120)
        tree = [psutil.Process(self.process), *psutil.Process(self.process).children(recursive=True)]
        used = processor_seconds(tree)
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            seconds = [one for taken in pool.map(client, range(clients)) for one in taken]
        wall = time.perf_counter() - began
        used = processor_seconds(tree) - used
        return Load(seconds, wall, used, sum(one.memory_info().rss for one in tree) / 2**20)

    def ask_gallery(
        self, support: Images, queries: list[Path], requests: list[tuple[int, int]]
    ) -> list[tuple[Load, Load]]:
        """Of EMPTY_ROUTE, and of one image a request as a form, for each (clients, requests)."""
        name = f"benchmark {os.getpid()}"
        place = f"/v1/galleries/{name}"
        with httpx.Client(base_url=self.address, timeout=120, trust_env=False, headers=self.headers) as client:
            client.post("/v1/galleries", json={"name": name}).raise_for_status()
            try:
                for label, paths in support.items():
                    files = [("images", (path.name, path.read_bytes())) for path in paths]
                    client.post(f"{place}/examples", data={"class": label}, files=files).raise_for_status()
                sent = [
                    client.build_request("POST", f"{place}/recognise", files={"images": path.read_bytes()})
                    for path in queries
                ]
                bodies = [(one.read(), one.headers["content-type"]) for one in sent]
                path = sent[0].url.raw_path.decode()
                return [
                    (self.load(EMPTY_ROUTE, [], count, clients), self.load(path, bodies, count, clients))
                    for clients, count in requests
                ]
            finally:
                client.delete(place)


@contextmanager
def gallery_service(root: Path) -> Iterator[Server]:
    """`kshot serve`."""
    command = [sys.executable, "-m", "kshot.cli", "serve", "--port", "0", "--device", "cpu"]
    with running(command, root, {"KSHOT_SERVE_REQUESTS_PER_SECOND": "0"}) as process:
        assert process.stdout is not None
        found = STARTED.match(process.stdout.readline())
        assert found, "the service did not start"
        yield Server(int(found[2]), process.pid)


@contextmanager
def gallery_service_on_ray(root: Path, replicas: int) -> Iterator[Server]:
    """`kshot serve --engine ray` on a Ray cluster of this machine alone; each replica has one processor."""
    galleries = open_store(root, None, None)
    key = keys.add(galleries, f"benchmark {os.getpid()}", "admin")
    port = free_port()
    command = [sys.executable, "-m", "kshot.cli", "serve", "--engine", "ray", "--replicas", str(replicas)]
    variables = {"KSHOT_SERVE_REQUESTS_PER_SECOND": "0", "RAY_ADDRESS": "local"}
    try:
        with running([*command, "--port", str(port), "--device", "cpu"], root, variables) as process:
            assert process.stdout is not None
            assert "of Ray Serve, at" in process.stdout.readline(), "the replicas did not start"
            yield Server(port, process.pid, {"Authorization": f"Bearer {key}"})
    finally:
        keys.revoke(galleries, f"benchmark {os.getpid()}")
        galleries.close()


@contextmanager
def mlflow_server(root: Path) -> Iterator[Server]:
    """MLflow's scoring server."""
    port = free_port()
    address = f"models:/{project_name.of(root)}@champion"
    command = ["mlflow", "models", "serve", "-m", address, "--env-manager", "local", "--port", str(port)]
    # MLflow starts uvicorn by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = {"MLFLOW_TRACKING_URI": store.uri(root), "PATH": path}
    with running([sys.executable, "-m", *command], root, found) as process:
        wait_for(f"http://127.0.0.1:{port}/ping")
        yield Server(port, process.pid)


def with_support(support: Images, queries: list[Path]) -> list[tuple[bytes, str]]:
    """Bodies for MLflow's server: each query with all support images."""
    return [(json.dumps(request(support, [path])).encode(), "application/json") for path in queries]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def processor_seconds(processes: list[psutil.Process]) -> float:
    """What these processes have used so far, in user and system time."""
    return sum(one.cpu_times().user + one.cpu_times().system for one in processes)


@contextmanager
def running(command: list[str], root: Path, variables: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A server in a process group of its own, which ends with the block."""
    process = subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # As Ctrl-C in a terminal: at SIGTERM Ray's own processes would end first, and the service wait for them.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def wait_for(address: str) -> None:
    """Wait until a server answers there."""
    until = time.monotonic() + STARTS_IN
    while time.monotonic() < until:
        try:
            if httpx.get(address, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise SystemExit(f"{address} did not answer within {STARTS_IN} s")
