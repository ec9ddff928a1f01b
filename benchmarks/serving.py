"""The gallery service under load, beside MLflow's scoring server and beside the bare forward pass.

    python benchmarks/serving.py PROJECT IMAGES                 IMAGES: class folders with 6 images or more each
    python benchmarks/serving.py letters letters/images photos photos/images      a table for each project
    python benchmarks/serving.py PROJECT IMAGES --requests 500 --mlflow-requests 50 --out serving.md

The two projects, once (the second needs kshot[photographs] and ../shared/data/groceries.zip):

    kshot init letters && (cd letters && kshot retrain)
    kshot init photos --images ../shared/data/groceries.zip && (cd photos && kshot retrain)
    python benchmarks/serving.py letters letters/data/raw photos photos/data/raw

PROJECT has a champion. The service is taught 5 classes of 5 images, and 1 and 4 clients on loopback ask it one image a
request. `mlflow models serve` gets the same 25 images as support with each request of 4 clients. The forward pass is
one decoded image at a time in this process, alone. The empty route is the least that a request by HTTP takes in the
same run. The search is one recognition in a gallery of 100,000 classes less one in a gallery of 5, without the forward
pass. Writes benchmarks/serving.md. Leave the machine alone meanwhile: on a busy one the figures say how busy it is.
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
from importlib.metadata import version
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
from kshot.serve.engine.gallery_state import gallery_state
from kshot.serve.engine.recognition import recognise
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.store.galleries import GalleryRow

CLASSES, SHOTS, CLIENTS = 5, 5, 4
MANY = 100_000  # classes of the search alone
EMPTY_ROUTE = "/v2/health/live"  # HTTP, the service's checks, log and metrics, and nothing else
OUT = Path(__file__).with_suffix(".md")
HEAD = """# The gallery service under load

One run of `python benchmarks/serving.py` (kshot {version}) on {cores} cores, over loopback, server and clients on the
same cores; load of the machine {busy}. MiB is the memory of all the server's processes, `processor ms`
their processor time a request. With a load above 1 before the run, rates and times say how busy the machine was, and
the processor time is longer, too: measure again on a quiet one.
"""
STARTED = re.compile(r"serving \S+ version \S+ \(champion\) at http://([\d.]+):(\d+), process (\d+)")


@dataclass(frozen=True)
class Load:
    """seconds: of each request; wall: of all of them; processor: the server's seconds; mib: its memory at the end."""

    seconds: list[float]
    wall: float
    processor: float
    mib: float

    def row(self, name: str) -> str:
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1000
        ms = 1000 * self.processor / len(self.seconds)
        return (
            f"| {name} | {len(self.seconds):,} | {self.rate:.1f} | {p50:.1f} | {p99:.1f} | {ms:.2f} | {self.mib:.0f} |"
        )

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall

    def ms(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent)) * 1000


def main(arguments: list[str]) -> None:
    """Measure every project, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path, nargs="+", metavar="PROJECT IMAGES")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--mlflow-requests", type=int, default=100, help="0 leaves MLflow out")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if len(options.pairs) % 2:
        parser.error("needs a folder of images for each project")
    before = os.getloadavg()[0]
    tables = [
        table(project.resolve(), images, options.requests, options.mlflow_requests)
        for project, images in zip(options.pairs[::2], options.pairs[1::2], strict=True)
    ]
    busy = f"{before:.1f} before and {os.getloadavg()[0]:.1f} after"
    text = HEAD.format(cores=os.cpu_count(), busy=busy, version=version("kshot")) + "".join(tables)
    options.out.write_text(text, encoding="utf-8")
    print(text)


def table(root: Path, images: Path, requests: int, mlflow_requests: int) -> str:
    """The section of one project."""
    folders = [folder for folder in sorted(images.rglob("*")) if len(list(folder.glob("*.*"))) > SHOTS]
    support = {folder.name: sorted(folder.glob("*.*"))[:SHOTS] for folder in folders[:CLASSES]}
    queries = [sorted(folder.glob("*.*"))[SHOTS] for folder in folders[:CLASSES]]
    model = champion(root)
    forward = bare(model, queries, min(requests, 1000))
    (empty_one, one), (empty_four, four) = gallery_service(root, support, queries, requests)
    rows = [forward.row("bare forward pass, one image at a time")]
    rows += [empty_one.row("kshot serve, empty route, 1 client"), one.row("kshot serve, 1 client")]
    rows += [
        empty_four.row(f"kshot serve, empty route, {CLIENTS} clients"),
        four.row(f"kshot serve, {CLIENTS} clients"),
    ]
    facts = [
        f"- 1 client beside the bare forward pass: p50 x {one.ms(50) / forward.ms(50):.1f}, "
        f"p99 x {one.ms(99) / forward.ms(99):.1f}; {CLIENTS} clients: p50 x {four.ms(50) / forward.ms(50):.1f}, "
        f"p99 x {four.ms(99) / forward.ms(99):.1f}",
        f"- 1 client beside the bare forward pass and the empty route together, the least that HTTP allows: "
        f"p50 x {one.ms(50) / (forward.ms(50) + empty_one.ms(50)):.1f}",
    ]
    if mlflow_requests:
        other = mlflow_server(root, support, queries, mlflow_requests)
        rows.append(other.row(f"mlflow models serve, {CLIENTS} clients"))
        facts.append(f"- {four.rate / other.rate:.1f} times MLflow's requests a second")
    for shots in (1, 2):
        ms, mib = search(model, shots)
        examples = f"{shots} example{'s' * (shots > 1)}"
        facts.append(f"- a search among {MANY:,} classes of {examples} adds {ms:.2f} ms a request, {mib:.0f} MiB")
    name, ingest = model.method.embedding.settings.backbone, model.ingest
    head = f"\n## {name}, {ingest.size} x {ingest.size}, {model.method.dim} numbers an embedding\n\n"
    columns = "| | requests | a second | p50 ms | p99 ms | processor ms | MiB |\n|---|---|---|---|---|---|---|\n"
    return head + columns + "\n".join(rows) + "\n\n" + "\n".join(facts) + "\n"


def bare(model: kshot.FewShotModel, queries: list[Path], count: int) -> Load:
    """The network's forward pass on prepared images."""
    pixels = [prepare_image(SentImage(path.read_bytes(), path.name), model.ingest, 10**9).pixels for path in queries]
    seconds: list[float] = []
    used = 0.0
    for number in range(count + 10):
        if number == 10:  # the first passes fill caches
            seconds, used = [], time.process_time()
        began = time.perf_counter()
        embed(model.method, pixels[number % len(pixels)][None], np.arange(1))
        seconds.append(time.perf_counter() - began)
    used = time.process_time() - used
    return Load(seconds, sum(seconds), used, psutil.Process().memory_info().rss / 2**20)


def search(model: kshot.FewShotModel, shots: int) -> tuple[float, float]:
    """The milliseconds that MANY classes add to a recognition beside CLASSES of them, and the gallery's MiB."""
    served = ServedVersion("benchmark", "1", "champion", "0" * 64, model)
    rng = np.random.default_rng(0)
    before = psutil.Process().memory_info().rss
    points = rng.normal(size=(MANY * shots, model.method.dim)).astype(np.float32)
    rows = [(number, f"class {number % MANY:06d}", "0" * 64) for number in range(len(points))]
    gallery = GalleryRow(1, "many", 1, None, "")
    states = [gallery_state(gallery, rows[:count], points[:count], served.centre) for count in (len(points), CLASSES)]
    query = rng.normal(size=(1, model.method.dim)).astype(np.float32)
    medians = []
    for state in states:
        taken = []
        for _ in range(100):
            began = time.perf_counter()
            recognise(served, state, query)
            taken.append(time.perf_counter() - began)
        medians.append(statistics.median(taken))
    return (medians[0] - medians[1]) * 1000, (psutil.Process().memory_info().rss - before) / 2**20


def champion(root: Path) -> kshot.FewShotModel:
    store.connect(root)
    return kshot.load(f"models:/{project_name.of(root)}@champion", device="cpu")


def gallery_service(
    root: Path, support: dict[str, list[Path]], queries: list[Path], count: int
) -> list[tuple[Load, Load]]:
    """`kshot serve`, by 1 client and by CLIENTS: EMPTY_ROUTE, and one image a request as a form."""
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
                path = sent[0].url.raw_path.decode()
                return [
                    (
                        load(host, port, EMPTY_ROUTE, [], number, process.pid, clients),
                        load(host, port, path, bodies, number, process.pid, clients),
                    )
                    for clients, number in ((1, max(count // 4, 1)), (CLIENTS, count))
                ]
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


def load(
    host: str,
    port: int,
    path: str,
    bodies: list[tuple[bytes, str]],
    count: int,
    process: int,
    clients: int = CLIENTS,
) -> Load:
    """Send the bodies in turn, `count` in all, by clients that each keep one connection; GET where there is none."""

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection(host, port, timeout=120)
        taken = []
        for turn in range(number, count, clients):
            body, kind = bodies[turn % len(bodies)] if bodies else (None, "")
            began = time.perf_counter()
            connection.request("POST" if bodies else "GET", path, body, {"Content-Type": kind} if bodies else {})
            answer = connection.getresponse()
            answer.read()
            taken.append(time.perf_counter() - began)
            assert answer.status == 200, answer.status
        return taken

    for body, kind in bodies:  # the first requests fill caches
        httpx.post(f"http://{host}:{port}{path}", content=body, headers={"Content-Type": kind}, timeout=120)
    tree = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    used = processor_seconds(tree)
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = [one for taken in pool.map(client, range(clients)) for one in taken]
    wall = time.perf_counter() - began
    used = processor_seconds(tree) - used
    return Load(seconds, wall, used, sum(one.memory_info().rss for one in tree) / 2**20)


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
