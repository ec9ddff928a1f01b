"""The gallery service under load, beside MLflow's scoring server and beside the bare forward pass.

    python benchmarks/serving.py PROJECT IMAGES                 IMAGES: class folders with 6 images or more each
    python benchmarks/serving.py letters letters/images photos photos/images      a table for each project
    python benchmarks/serving.py PROJECT IMAGES --requests 500 --mlflow-requests 50 --out serving.md

The two projects, once (the second needs kshot[photographs] and ../shared/data/groceries.zip):

    kshot init letters && (cd letters && kshot retrain)
    kshot init photos --images ../shared/data/groceries.zip && (cd photos && kshot retrain)
    python benchmarks/serving.py letters letters/data/raw photos photos/data/raw

PROJECT has a champion. The service is taught 5 classes of 5 images, and 1 and 4 clients on loopback ask it one image a
request; so do 4 clients through Ray Serve, on a cluster of this machine with a replica a core. `mlflow models serve`
gets the same 25 images as support with each request of 4 clients. The forward pass is one decoded image at a time in
this process, alone, once more by as many threads as there are clients, and once more from its file. The empty route is
the least that a request by HTTP takes in the same run. The search is one recognition in a gallery of 100,000 classes
less one in a gallery of 5, without the forward pass. Writes benchmarks/serving.md. Leave the machine alone meanwhile:
on a busy one the figures say how busy it is.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import torch
from serving_load import Load, gallery_service, gallery_service_on_ray, mlflow_server, with_support

import kshot
from kshot.lifecycle.tracking import store
from kshot.nets.embedding import embed
from kshot.nets.memory import keep_freed_memory
from kshot.params import project_name
from kshot.serve.engine.decoding import SentImage, prepare_image
from kshot.serve.engine.gallery_state import gallery_state
from kshot.serve.engine.recognition import recognise
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.process import FREED_BYTES
from kshot.serve.store.galleries import GalleryRow

CLASSES, SHOTS, CLIENTS = 5, 5, 4
CORES = os.cpu_count() or 1
MANY = 100_000  # classes of the search alone
OUT = Path(__file__).with_suffix(".md")
HEAD = """# The gallery service under load

One run of `python benchmarks/serving.py` (kshot {version}) on {cores} cores, over loopback, server and clients on the
same cores; load of the machine {busy}. MiB is the memory of all the server's processes, `processor ms`
their processor time a request. With a load above 1 before the run, rates and times say how busy the machine was, and
the processor time is longer, too: measure again on a quiet one.
"""


def main(arguments: list[str]) -> None:
    """Measure every project, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path, nargs="+", metavar="PROJECT IMAGES")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--mlflow-requests", type=int, default=100, help="0 leaves MLflow out")
    parser.add_argument("--ray-replicas", type=int, default=CORES, help="0 leaves Ray Serve out")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if len(options.pairs) % 2:
        parser.error("needs a folder of images for each project")
    before = os.getloadavg()[0]
    keep_freed_memory(FREED_BYTES)  # as the service: the forward pass is the same, only without one
    tables = [
        table(project.resolve(), images, options)
        for project, images in zip(options.pairs[::2], options.pairs[1::2], strict=True)
    ]
    busy = f"{before:.1f} before and {os.getloadavg()[0]:.1f} after"
    text = HEAD.format(cores=CORES, busy=busy, version=version("kshot")) + "".join(tables)
    options.out.write_text(text, encoding="utf-8")
    print(text)


def table(root: Path, images: Path, options: argparse.Namespace) -> str:
    """The section of one project."""
    folders = [folder for folder in sorted(images.rglob("*")) if len(list(folder.glob("*.*"))) > SHOTS]
    support = {folder.name: sorted(folder.glob("*.*"))[:SHOTS] for folder in folders[:CLASSES]}
    queries = [sorted(folder.glob("*.*"))[SHOTS] for folder in folders[:CLASSES]]
    model, count = champion(root), options.requests
    passes = min(count, 1000)
    forward, from_file = (alone(model, queries, passes, decode=decode) for decode in (False, True))
    forward_four = alone(model, queries, passes, callers=CLIENTS)
    with gallery_service(root) as server:
        (empty_one, one), (empty_four, four) = server.ask_gallery(
            support, queries, [(1, max(count // 4, 1)), (CLIENTS, count)]
        )
    rows = [
        forward.row("bare forward pass, one image at a time"),
        forward_four.row(f"bare forward pass, {CLIENTS} at once"),
        from_file.row("bare forward pass after decoding and resizing the file, one image at a time"),
        empty_one.row("kshot serve, empty route, 1 client"),
        one.row("kshot serve, 1 client"),
        empty_four.row(f"kshot serve, empty route, {CLIENTS} clients"),
        four.row(f"kshot serve, {CLIENTS} clients"),
    ]
    facts = [
        f"- 1 client beside one bare forward pass at a time: {ratios(one, forward)}",
        f"- {CLIENTS} clients beside {CLIENTS} bare forward passes at once: {ratios(four, forward_four)}; "
        f"beside one at a time: {ratios(four, forward)}",
        f"- 1 client beside decoding, forward pass and the empty route together, the least that a request takes: "
        f"p50 x {one.ms(50) / (from_file.ms(50) + empty_one.ms(50)):.1f}",
        f"- {CLIENTS} clients on {CORES} cores: p50 x {four.ms(50) / least(four):.1f} the least that the processor "
        f"time of a request allows, {least(four):.1f} ms",
    ]
    if options.ray_replicas:
        with gallery_service_on_ray(root, options.ray_replicas) as server:
            ((empty_ray, ray),) = server.ask_gallery(support, queries, [(CLIENTS, count)])
        by = f"kshot serve --engine ray --replicas {options.ray_replicas}"
        rows += [
            empty_ray.row(f"{by}, empty route, {CLIENTS} clients"),
            ray.row(f"{by}, {CLIENTS} clients"),
        ]
        facts.append(f"- {ray.rate / four.rate:.2f} times the plain service's requests a second on Ray")
    if options.mlflow_requests:
        with mlflow_server(root) as server:
            other = server.load("/invocations", with_support(support, queries), options.mlflow_requests, CLIENTS)
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


def ratios(load: Load, other: Load) -> str:
    return ", ".join(f"p{percent} x {load.ms(percent) / other.ms(percent):.1f}" for percent in (50, 99))


def least(load: Load) -> float:
    """The milliseconds of a request if CLIENTS wait for each other and the server has all cores."""
    return 1000 * load.processor / len(load.seconds) * max(CLIENTS / CORES, 1)


def alone(
    model: kshot.FewShotModel, queries: list[Path], count: int, *, decode: bool = False, callers: int = 1
) -> Load:
    """The network's forward pass in this process, on prepared images or, with `decode`, on files in memory.

    callers: threads that each run one forward pass after the other, with their share of the cores; one is this thread,
    because torch begins threads of its own for each thread that calls it.
    """
    files = [SentImage(path.read_bytes(), path.name) for path in queries]
    pixels = [prepare_image(file, model.ingest, 10**9).pixels for file in files]

    def timed(number: int) -> float:
        at = number % len(files)
        began = time.perf_counter()
        image = prepare_image(files[at], model.ingest, 10**9).pixels if decode else pixels[at]
        embed(model.method, image[None], np.arange(1))
        return time.perf_counter() - began

    before = torch.get_num_threads()
    with ThreadPoolExecutor(callers) as pool:
        over: Callable[..., Iterable[float]] = map if callers == 1 else pool.map
        if callers > 1:
            torch.set_num_threads(max(1, CORES // callers))
        list(over(timed, range(10 * callers)))  # the first passes fill caches
        used, began = time.process_time(), time.perf_counter()
        seconds = list(over(timed, range(count)))
        wall, used = time.perf_counter() - began, time.process_time() - used
    torch.set_num_threads(before)
    return Load(seconds, wall, used, psutil.Process().memory_info().rss / 2**20)


def search(model: kshot.FewShotModel, shots: int) -> tuple[float, float]:
    """The milliseconds that MANY classes add to a recognition beside CLASSES of them, and the gallery's MiB."""
    served = ServedVersion("benchmark", "1", "champion", "0" * 64, model)
    rng = np.random.default_rng(0)
    before = psutil.Process().memory_info().rss
    points = rng.normal(size=(MANY * shots, model.method.dim)).astype(np.float32)
    rows = [(number, f"class {number % MANY:06d}", "0" * 64) for number in range(len(points))]
    gallery = GalleryRow(1, "many", 1, None, "")
    states = [
        gallery_state(gallery, rows[:count], points[:count], served.centre, served.distance)
        for count in (len(points), CLASSES)
    ]
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


if __name__ == "__main__":
    main(sys.argv[1:])
