"""The gallery service under load, beside MLflow's scoring server and beside the bare forward pass.

    python benchmarks/serving.py PROJECT IMAGES                 IMAGES: class folders with 6 images or more each
    python benchmarks/serving.py PROJECT IMAGES --requests 500 --mlflow-requests 50

PROJECT has a champion. The service is taught 5 classes of 5 images, and 4 clients on loopback ask it one image a
request. `mlflow models serve` gets the same 25 images as support with each request. The forward pass is one decoded
image at a time in this process, alone. Leave the machine alone meanwhile: on a busy one the figures say how busy it is.
"""

import argparse
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil

import kshot
from kshot.lifecycle.serving.package import request
from kshot.lifecycle.tracking import store
from kshot.nets.embedding import embed
from kshot.params import project_name
from kshot.serve.engine.decoding import SentImage, prepare_image
from kshot.serve.engine.index import index_of

CLASSES, SHOTS, CLIENTS = 5, 5, 4
MANY = 100_000  # classes of the search alone
STARTED = re.compile(r"serving \S+ version \S+ \(champion\) at http://([\d.]+):(\d+), process (\d+)")


@dataclass(frozen=True)
class Load:
    """seconds: of each request; wall: of all of them; mib: the server's memory at the end."""

    seconds: list[float]
    wall: float
    mib: float = float("nan")

    def row(self, name: str) -> str:
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1000
        rate = len(self.seconds) / self.wall
        return f"| {name} | {len(self.seconds):,} | {rate:.1f} | {p50:.1f} | {p99:.1f} | {self.mib:.0f} |"


def main(arguments: list[str]) -> None:
    """Measure all of them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--mlflow-requests", type=int, default=200, help="0 leaves MLflow out")
    options = parser.parse_args(arguments)
    root = options.project.resolve()
    folders = [folder for folder in sorted(options.images.rglob("*")) if len(list(folder.glob("*.*"))) > SHOTS]
    support = {folder.name: sorted(folder.glob("*.*"))[:SHOTS] for folder in folders[:CLASSES]}
    queries = [sorted(folder.glob("*.*"))[SHOTS] for folder in folders[:CLASSES]]
    before = os.getloadavg()[0]
    rows = [bare(root, queries, min(options.requests, 1000)).row("bare forward pass, one image at a time")]
    rows.append(gallery_service(root, support, queries, options.requests).row("kshot serve, 4 clients"))
    if options.mlflow_requests:
        rows.append(
            mlflow_server(root, support, queries, options.mlflow_requests).row("mlflow models serve, 4 clients")
        )
    print("| | requests | a second | p50 ms | p99 ms | MiB |", "|---|---|---|---|---|---|", *rows, sep="\n")
    print(f"\nsearch over {MANY:,} classes adds {search_ms(root):.2f} ms a request")
    print(f"load of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def bare(root: Path, queries: list[Path], count: int) -> Load:
    """The network's forward pass on prepared images."""
    model = champion(root)
    pixels = [prepare_image(SentImage(path.read_bytes(), path.name), model.ingest, 10**9).pixels for path in queries]
    seconds = []
    for number in range(count + 10):
        began = time.perf_counter()
        embed(model.method, pixels[number % len(pixels)][None], np.arange(1))
        seconds.append(time.perf_counter() - began)
    seconds = seconds[10:]
    return Load(seconds, sum(seconds), psutil.Process().memory_info().rss / 2**20)


def search_ms(root: Path) -> float:
    """The time to search all classes for one query, at the model's number of dimensions."""
    rng = np.random.default_rng(0)
    dim = champion(root).method.dim
    index = index_of(rng.normal(size=(MANY, dim)).astype(np.float32))
    query = rng.normal(size=(1, dim)).astype(np.float32)
    index.squared_distances(query)
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        index.squared_distances(query)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def champion(root: Path) -> kshot.FewShotModel:
    store.connect(root)
    return kshot.load(f"models:/{project_name.of(root)}@champion", device="cpu")


def gallery_service(root: Path, support: dict[str, list[Path]], queries: list[Path], count: int) -> Load:
    """`kshot serve`, asked for one image a request as a form."""
    command = [sys.executable, "-m", "kshot.cli", "serve", "--port", "0", "--device", "cpu"]
    unlimited = {"KSHOT_SERVE_REQUESTS_PER_SECOND": "0"}
    with running(command, root, unlimited) as process:
        assert process.stdout is not None
        found = STARTED.match(process.stdout.readline())
        assert found, "the service did not start"
        host, port = found[1], int(found[2])
        name = f"benchmark {os.getpid()}"
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=120, trust_env=False) as client:
            client.post("/v1/galleries", json={"name": name}).raise_for_status()
            place = f"/v1/galleries/{name}"
            try:
                for label, paths in support.items():
                    files = [("images", (path.name, path.read_bytes())) for path in paths]
                    client.post(f"{place}/examples", data={"class": label}, files=files).raise_for_status()
                sent = [
                    client.build_request("POST", f"{place}/recognise", files={"images": path.read_bytes()})
                    for path in queries
                ]
                bodies = [(one.read(), one.headers["content-type"]) for one in sent]
                return load(host, port, sent[0].url.raw_path.decode(), bodies, count, process.pid)
            finally:
                client.delete(place)


def mlflow_server(root: Path, support: dict[str, list[Path]], queries: list[Path], count: int) -> Load:
    """MLflow's scoring server, which gets the support images with every request."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    address = f"models:/{project_name.of(root)}@champion"
    command = ["mlflow", "models", "serve", "-m", address, "--env-manager", "local", "--port", str(port)]
    # MLflow starts uvicorn by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = {"MLFLOW_TRACKING_URI": store.uri(root), "PATH": path}
    with running([sys.executable, "-m", *command], root, found) as process:
        wait_for(port)
        bodies = [(json.dumps(request(support, [path])).encode(), "application/json") for path in queries]
        return load("127.0.0.1", port, "/invocations", bodies, count, process.pid)


def load(host: str, port: int, path: str, bodies: list[tuple[bytes, str]], count: int, process: int) -> Load:
    """Send the bodies in turn, `count` in all, by CLIENTS clients that each keep one connection."""

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection(host, port, timeout=120)
        taken = []
        for turn in range(number, count, CLIENTS):
            body, kind = bodies[turn % len(bodies)]
            began = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            taken.append(time.perf_counter() - began)
            assert answer.status == 200, answer.status
        return taken

    for body, kind in bodies:  # the first requests fill caches
        httpx.post(f"http://{host}:{port}{path}", content=body, headers={"Content-Type": kind}, timeout=120)
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        seconds = [one for taken in pool.map(client, range(CLIENTS)) for one in taken]
    wall = time.perf_counter() - began
    tree = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return Load(seconds, wall, sum(one.memory_info().rss for one in tree) / 2**20)


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
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait_for(port: int) -> None:
    """Wait until MLflow's server answers."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ping", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise SystemExit("mlflow models serve did not answer within 180 s")


if __name__ == "__main__":
    main(sys.argv[1:])
