"""A sweep, a training and shards on a Ray cluster of three nodes on this machine, with nodes and the command killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from kshot.lifecycle.params_file import settings
from kshot.nets.backbones.backbone import create_backbone
from tests.flows.project import REPOSITORY, SETTINGS, draw_classes, environment, kshot, make_project, start
from tests.lifecycle import packed_project, raw_project
from tests.services import ray_cluster
from tests.services.processes import PATIENCE_S, process
from tests.short_names import set_train

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
        wait_for(lambda: sweep.poll() is not None or len(list(logs.glob("*.log"))) == 2, "two trials run")
        assert sweep.poll() is None, sweep.stderr and sweep.stderr.read()
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
        ray_cluster.add_node(nodes)
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


LAUNCH = """
import sys
from pathlib import Path
from kshot.parallel.ray_cluster import connected
from kshot.parallel.ray_launch import Wanted, run_on_ray
from tests.parallel import workers
with connected() as ray:
    run_on_ray(ray, workers.train_through_a_loss, (sys.argv[1],), Wanted(2, False, 1), Path(sys.argv[1]))
"""


def output_without_a_node(nodes: Any, code: str, folder: Path, what: str) -> str:
    """The output of `code`, run with `folder`. The node that it names in the file `node` there is lost and replaced.

    `what`: what has happened when that file is there.
    """
    names = {**environment(), **ray_cluster.names(nodes)}
    log, node = folder / "log", folder / "node"
    with process([sys.executable, "-c", code, str(folder)], names, log) as launched:
        wait_for(lambda: launched.poll() is not None or (node.exists() and node.read_text()), what)
        assert launched.poll() is None, log.read_text()
        (lost,) = [one for one in nodes.worker_nodes if one.node_id == node.read_text()]
        nodes.remove_node(lost, allow_graceful=False)
        ray_cluster.add_node(nodes)
        assert launched.wait(3 * PATIENCE_S) == 0, log.read_text()
    return log.read_text()


def test_a_training_loses_a_node_and_resumes_to_the_same_weights(nodes: Any, tmp_path: Path) -> None:
    out = output_without_a_node(nodes, LAUNCH, tmp_path, "the training began")
    assert re.search(r"^process 1 of 2 of the training \(counted from 0\), on node [\d.]+, was lost \(", out, re.M), out
    assert "all processes begin again from the last checkpoint\n" in out and "the first process says hello" in out
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(value, found["whole"][name]) for name, value in found["resumed"].items())
    assert 0 < found["taken"] < found["all"]


def test_where_the_processes_run_changes_no_bit_of_the_model(nodes: Any, tmp_path: Path) -> None:
    """Nor does a node that was lost a moment ago, which Ray still lists as alive."""
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params((REPOSITORY / "params.yaml").read_text()))
    set_train(mapping, processes=2, precision="float32")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**mapping, "engine": "ray"}))
    models = {}
    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
    ray_cluster.add_node(nodes)
    for engine in ("ray", "local"):
        names = {**environment(), **ray_cluster.names(nodes), "KSHOT_ENGINE": engine}
        stage = [sys.executable, "-m", "kshot.lifecycle.stages.train"]
        ended = subprocess.run(stage, cwd=tmp_path, env=names, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "on cpu, 2 processes" in ended.stdout
        models[engine] = raw_project.files_below(tmp_path / "model")
    assert models["ray"] == models["local"]
    assert not list((tmp_path / ".kshot").glob("ray-*"))


def test_a_cluster_that_is_too_small_is_named(nodes: Any, tmp_path: Path) -> None:
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params((REPOSITORY / "params.yaml").read_text()))
    set_train(mapping, processes=9)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**mapping, "engine": "ray"}))
    stage = [sys.executable, "-m", "kshot.lifecycle.stages.train"]
    names = {**environment(), **ray_cluster.names(nodes)}
    ended = subprocess.run(stage, cwd=tmp_path, env=names, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("kshot: error: train.processes is 9, which needs 9 CPUs of the Ray cluster; it has 2: ")


SHARDS = """
import os, sys
from pathlib import Path
from kshot.data.shards.shard_plan import ShardSizes
from kshot.lifecycle.stages import ingest
from kshot.lifecycle.stages.shards import embed_images
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.params.schema import load_params
from tests.lifecycle.raw_project import SMALL, files_below, settings
from tests.parallel import workers

root, raw = Path(sys.argv[1]), Path(sys.argv[1], "raw")
embed_images.embed_on_ray.finish_on_node = workers.finish_features_and_wait
found = {}
for engine in ("ray", "local"):
    os.environ["KSHOT_ENGINE"] = engine
    ingest.run(raw, settings(**SMALL), ShardSizes(8 * 64, 32 * 64))
    embed_images.write_features(root, load_params(root / "params.yaml"), ShardSizes(64, 128))
    found[engine] = {**files_below(raw / "data/packed"), **files_below(root / "data/embedded")}
    for store in (ShardStore(raw, "ingest"), ShardStore(root, "embed")):
        store.delete_notes(but=())
        store.delete_shards(but=())
assert found["ray"] == found["local"]
print(len(found["ray"]), "files are the same")
"""


def test_shards_are_packed_and_embedded_on_nodes_and_one_that_is_lost_changes_no_bit(
    nodes: Any, tmp_path: Path
) -> None:
    packed_project.write(tmp_path, rotations=True)
    torch.manual_seed(0)
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), tmp_path / "w.safetensors")
    mapping = yaml.safe_load(packed_project.params((REPOSITORY / "params.yaml").read_text()))
    set_train(mapping, backbone="test_resnet", checkpoint="w.safetensors", input_size=32, adaptation="frozen")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(mapping))
    raw_project.write_raw(tmp_path / "raw", {f"c{number:02}": 4 for number in range(20)})
    out = output_without_a_node(nodes, SHARDS, tmp_path, "a shard is finished")
    assert "80 images of 20 classes packed" in out and "576 images to 96 numbers each" in out
    assert "files are the same" in out
