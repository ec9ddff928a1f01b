"""`kshot serve --engine ray`: two replicas on a Ray cluster, while a node is lost and the champion changes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kshot.errors import ServiceError
from kshot.glyphs.draw import draw
from kshot.serve.client import Client
from kshot.serve.store import keys
from kshot.serve.store.gallery_store import open_store
from tests.flows.project import environment, kshot, make_project
from tests.serve import served_project
from tests.services import ray_cluster
from tests.services.postgres import binaries, postgres
from tests.services.processes import PATIENCE_S, free_port, process

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres(("galleries",)) as address:
        yield f"postgresql://{address}galleries"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    pytest.importorskip("ray.serve", reason="Ray Serve is not installed: pip install 'kshot[ray-serve]'")
    with ray_cluster.cluster(3) as made:
        yield made


def wait_until(fact: Any, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


def answered(ask: Any) -> Any:
    """What `ask` returns, asked again while a lost replica's requests fail."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except ServiceError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_replicas_on_a_cluster_share_galleries_survive_a_node_and_follow_the_champion(
    nodes: Any, database: str, tmp_path: Path
) -> None:
    draw(tmp_path / "letters", drawers=6, letters_a_script=2)
    root = served_project.make(tmp_path / "project", tmp_path / "letters")
    store = open_store(root, database, None)
    key = keys.add(store, "test", "admin")
    store.close()
    port, log = free_port(), root / "log"
    command = [sys.executable, "-m", "kshot.cli", "serve", "--engine", "ray", "--replicas", "2", "--port", str(port)]
    names = {**environment(), **ray_cluster.names(nodes), "KSHOT_SERVE_DATABASE": database}
    classes = sorted((tmp_path / "letters").glob("*/*"))[:5]
    with process(command, names, log) as served:
        wait_until(lambda: served.poll() is not None or "by 2 replicas of Ray Serve, at" in log.read_text(), log)
        assert served.poll() is None, log.read_text()
        with Client(f"http://127.0.0.1:{port}", key=key) as client:
            client.create("letters")
            for folder in classes:
                client.teach("letters", folder.name, sorted(folder.iterdir())[:3])
            queries = [sorted(folder.iterdir())[4] for folder in classes]

            def ask() -> Any:
                return client.recognise("letters", queries)

            first = answered(ask)
            second = subprocess.run(command, cwd=root, env=names, capture_output=True, text=True)
            assert second.returncode != 0 and f"by process {served.pid} on " in second.stderr, second.stderr
            assert len(second.stderr.splitlines()) == 1
            assert {answered(ask).model_version for _ in range(10)} == {first.model_version} == {"1"}
            nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
            ray_cluster.add_node(nodes)
            again = answered(ask)
            assert [one.label for one in again.results] == [one.label for one in first.results]
            served_project.name_champion(root, "2")
            wait_until(lambda: {answered(ask).model_version for _ in range(10)} == {"2"}, log)
        served.send_signal(signal.SIGINT)
        assert served.wait(PATIENCE_S) == 0, log.read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "the Ray cluster has 3 nodes, and the galleries' database is SQLite, which is for one machine"),
        (("--replicas", "0"), "--replicas is 0; needs at least 1"),
    ],
)
def test_what_cannot_be_served_on_a_cluster_is_one_line(
    nodes: Any, tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    root = make_project(tmp_path / "project")
    ended = kshot(root, "serve", "--engine", "ray", *options, names=ray_cluster.names(nodes))
    assert ended.code == 2 and ended.err.startswith(f"kshot: error: {text}") and len(ended.err.splitlines()) == 1
