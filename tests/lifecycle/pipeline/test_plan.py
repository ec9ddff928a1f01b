"""The plan of a retraining with reasons: real DVC over a graph of small commands, each cause of a change once."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from kshot.lifecycle.pipeline import durations, graph, plan
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import code_read

REPOSITORY = Path(__file__).parents[3]
GRAPH = """
stages:
  ingest:
    cmd: cat source > packed
    deps: [source]
    params: [fingerprints/ingest.json: , ingest]
    outs: [packed]
  train:
    cmd: cp packed model
    deps: [packed]
    params: [train]
    outs: [model]
"""
PARAMS = "ingest: {size: 28}\ntrain: {steps: 100, loss: null}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages that ran, and took 2 and 50 seconds."""
    root = tmp_path_factory.mktemp("planned") / "root"
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".dvc/config", root / ".dvc")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    for name, text in (("source", "one"), ("dvc.yaml", GRAPH), ("params.yaml", PARAMS)):
        (root / name).write_text(text)
    for name, seconds in (("ingest", 2.0), ("train", 50.0)):
        graph.run_stage(root, name, on_output=lambda *_: None, timeout_s=300)
        durations.note(root, name, seconds)
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "root"))


def steps(root: Path) -> dict[str, plan.Step]:
    return {step.stage: step for step in plan.plan(root)}


def test_nothing_has_changed(root: Path) -> None:
    before = sorted(path for path in root.rglob("*") if ".dvc" not in path.parts)
    assert {step.outlook for step in plan.plan(root)} == {"unchanged"}
    assert sorted(path for path in root.rglob("*") if ".dvc" not in path.parts) == before


def test_a_setting_is_told_with_both_values_and_its_time_follows_from_the_runs_before(root: Path) -> None:
    (root / "params.yaml").write_text(PARAMS.replace("100, loss: null", "200, loss: triplet"))
    found = steps(root)
    assert found["ingest"].outlook == "unchanged"
    assert found["train"] == plan.Step(
        "train", "runs", ("train.steps: 100 -> 200", "train.loss.name: null -> triplet"), 100.0
    )


def test_settings_by_other_names_are_no_change_of_values(root: Path) -> None:
    (root / "params.yaml").write_text(PARAMS.replace("loss: null", "loss: {name: null}"))
    assert steps(root)["train"].reasons == ("settings have other names",)


def test_a_file_of_weights_with_other_content_is_told(root: Path) -> None:
    (root / "start").write_text("other")
    begin = "loss: null, checkpoint: start, checkpoint_md5: "
    (root / "params.yaml").write_text(PARAMS.replace("loss: null", f"{begin}0a"))
    (told,) = [reason for reason in steps(root)["train"].reasons if "0a ->" in reason]
    assert told == f"train.network.checkpoint_md5: 0a -> {hashlib.md5(b'other').hexdigest()}"
    assert steps(root)["ingest"].outlook == "unchanged"


def test_data_and_code_are_told_apart_and_what_follows_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "source").write_text("two")
    edited = dict(code_read.fingerprints(root, "ingest"))
    edited |= {"kshot/data/crop.py": "0", "kshot/fresh.py": "1"}
    del edited["kshot/data/images.py"]
    monkeypatch.setattr(code_read, "fingerprints", lambda *_: edited)
    found, names = steps(root), "kshot/data/crop.py, kshot/data/images.py, kshot/fresh.py"
    assert found["ingest"] == plan.Step("ingest", "runs", ("data source", f"code {names} changed"), 2.0)
    assert found["train"] == plan.Step("train", "follows", ("after ingest",), 50.0)


def test_results_that_the_cache_holds_are_restored(root: Path) -> None:
    (root / "model").unlink()
    assert steps(root)["train"].outlook == "restored"
    assert "model" in steps(root)["train"].reasons[0]
    (root / "source").write_text("two")
    for name in ("ingest", "train"):
        graph.run_stage(root, name, on_output=lambda *_: None, timeout_s=300)
    (root / "source").write_text("one")
    assert steps(root)["ingest"].outlook == "restored"


def test_a_stage_that_never_ran_says_so(root: Path) -> None:
    (root / "dvc.lock").unlink()
    shutil.rmtree(root / ".dvc/cache")
    (root / durations.FILE).unlink()
    found = steps(root)
    assert found["ingest"] == plan.Step("ingest", "runs", ("it has not run here yet",), None)


def test_what_auto_was_is_said_and_that_new_data_decides_it_again(root: Path) -> None:
    steps_now = plan.plan(root)
    assert plan.resolved_text(root, steps_now) == ""
    (root / "params.yaml").write_text(f"{PARAMS}episodes: {{n_query: auto, protocols: auto}}\n")
    assert plan.resolved_text(root, steps_now) == "episodes: auto, decided in stage episodes from the classes"
    (root / layout.RESOLVED).parent.mkdir(parents=True)
    (root / layout.RESOLVED).write_text('{"n_query": 7, "protocols": {"3w1s": {}, "3w5s": {}}}')
    assert plan.resolved_text(root, steps_now) == "episodes: auto, 3w1s, 3w5s; 7 queries a class"
    (root / "source").write_text("two")
    assert plan.resolved_text(root, plan.plan(root)).endswith("last time 3w1s, 3w5s; 7 queries a class; decided again")
