"""A sweep on a Ray cluster of three nodes on this machine, with a node and the command killed in the middle."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.project import settings
from tests.flows.project import SETTINGS, draw_classes, kshot, make_project, start
from tests.services import ray_cluster
from tests.services.processes import PATIENCE_S

pytestmark = pytest.mark.services
SWEEP = ("sweep", "seeds.yaml", "--engine", "ray")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with ray_cluster.cluster(3) as made:
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small settings and data in a commit, and a sweep of three seeds."""
    root = make_project(tmp_path_factory.mktemp("ray") / "project")
    text, _ = settings.plan(root, overlay=root / "overlay.yaml", sets=[one for one in SETTINGS if one != "--set"])
    settings.write(root, text)
    (root / "seeds.yaml").write_text("grid: {train.seed: [0, 1, 2]}\n")
    added = kshot(root, "data", "add", str(draw_classes(root.parent / "images")))
    assert added.code == 0, added.err
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["add", "."], ["commit", "-qm", "small, with data"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return root


def wait_for(fact: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_lost_node_costs_a_trial_a_try_and_a_killed_sweep_no_finished_trial(nodes: Any, project: Path) -> None:
    names = ray_cluster.names(nodes)
    logs = project / ".kshot/sweep/logs"
    with start(project, *SWEEP, names=names) as sweep:
        wait_for(lambda: sweep.poll() is not None or len(list(logs.glob("*.log"))) == 3, "three trials run")
        assert sweep.poll() is None, sweep.stderr and sweep.stderr.read()
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
        nodes.add_node(num_cpus=1, object_store_memory=ray_cluster.OBJECTS)
        assert sweep.stdout is not None
        said: list[str] = []
        for line in sweep.stdout:
            said.append(line)
            if any("is tried again: " in one for one in said) and any("1 of 3" in one for one in said):
                break
        os.kill(sweep.pid, signal.SIGKILL)
    assert sweep.returncode == -signal.SIGKILL, said
    with start(project, *SWEEP, names=names) as again:
        out, err = again.communicate(timeout=3 * PATIENCE_S)
    assert again.returncode == 0, err
    assert any(f"3 trials, {number} finished before" in out for number in (1, 2, 3))
    assert "failed" not in out
    assert "page      reports/sweep.html" in out and "next      kshot retrain --set train.seed=" in out
    assert not list((project / ".kshot").glob("sweep-*-*"))  # no worktree is left
