"""One project's story, run once and checked by many tests: the first retraining, a repetition, an interruption, a
refused model, broken data. Real processes, real DVC, Prefect, MLflow and Great Expectations."""

import dataclasses
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
from mlflow.tracking import MlflowClient

from kshot.cli import ui
from kshot.lifecycle.project import project_lock
from tests.flows.project import Ended, draw_classes, kshot, start, stretch
from tests.lifecycle import audited_project

pytestmark = pytest.mark.journeys


def client(root: Path) -> MlflowClient:
    address = f"sqlite:///{root}/mlruns/mlflow.db"
    return MlflowClient(address, registry_uri=address)  # another test may have named another registry


def state(root: Path) -> dict[str, Any]:
    """What must survive every failure: the champion and the data version."""
    champion = client(root).get_model_version_by_alias("kshot", "champion")
    return {
        "champion": champion.version,
        "data": (root / "data/raw.dvc").read_text(),
        "raw": sorted(path.name for path in (root / "data/raw").rglob("*")),
    }


def versions(root: Path) -> int:
    return len(client(root).search_model_versions("name='kshot'"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_project.copy(tmp_path_factory, tmp_path_factory.mktemp("retrained"), private=True)


@pytest.fixture(scope="session")
def first(root: Path) -> Ended:
    """`kshot retrain --params overlay.yaml --set ...` in a new project."""
    return audited_project.retrained(root)


@pytest.fixture(scope="session")
def again(root: Path, first: Ended) -> Ended:
    return kshot(root, "retrain")


@pytest.fixture(scope="session")
def swept(root: Path, again: Ended) -> tuple[Ended, Ended]:
    """A sweep of a trial that cannot be trained and of one that can, and the same command again."""
    before = versions(root)
    (root / "batches.yaml").write_text("trials: [{train.batch.classes: 500}, {train.seed: 1}]\n")
    first = kshot(root, "sweep", "batches.yaml")
    repeated = kshot(root, "sweep", "batches.yaml")
    assert versions(root) == before  # nothing is registered
    return first, repeated


@dataclasses.dataclass(frozen=True)
class Interrupted:
    ended: Ended
    busy: Ended
    before: dict[str, Any]
    after: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="session")
def interrupted(root: Path, swept: tuple[Ended, Ended]) -> Interrupted:
    """A training of many steps, a second command beside it, and Ctrl-C in the middle."""
    before = state(root)
    log = root / "reports/train.jsonl"
    process = start(root, "retrain", "--set", "train.steps=100000")
    family: list[psutil.Process] = []
    try:
        wait_until(lambda: str(process.pid) in (root / ".kshot/lock").read_text(), process)
        busy = kshot(root, "retrain")
        wait_until(lambda: log.exists() and '"step": 30,' in log.read_text(), process)
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    left = [" ".join(child.cmdline()) for child in family if child.is_running() and child.status() != "zombie"]
    return Interrupted(Ended(process.returncode, out, err, 0), busy, before, state(root), left)


@pytest.fixture(scope="session")
def refused(root: Path, interrupted: Interrupted) -> Ended:
    """After the interruption, a training with fewer steps; the gate asks for more than any model can reach here."""
    return kshot(root, "retrain", "--set", "train.steps=25", "--set", "gate.min_accuracy={3w1s: 1.0}")


@pytest.fixture(scope="session")
def broken(root: Path, refused: Ended) -> tuple[Ended, dict[str, Any]]:
    """A second data version in which one image is ten times as wide as high."""
    images = draw_classes(root.parent / "broken", seed=1)
    stretch(images / "group1/class03/00.png")
    added = kshot(root, "data", "add", str(images))
    assert added.code == 0, added.err
    before = state(root)
    return kshot(root, "retrain"), before


def wait_until(happened: Any, process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if process.poll() is not None:
            raise AssertionError("".join(process.communicate()))
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_the_first_retraining_says_what_a_person_wants_to_know(root: Path, first: Ended) -> None:
    assert re.search(r"3w1s +\d+\.\d\d % +\[\d+\.\d\d, \d+\.\d\d\] +20", first.out)
    assert re.search(r"5w2s +\d+\.\d\d % ", first.out)
    assert json.loads((root / "data/versions.jsonl").read_text().splitlines()[-1])["md5"][:8] in first.out
    assert re.search(r"version 1\b", first.out)
    assert re.search(r"champion +yes", first.out)
    assert "kshot ui" in first.out and "reports/report.html" in first.out
    assert "Traceback" not in first.err and "WARNING" not in first.out + first.err


def test_the_settings_that_it_changed_are_told(first: Ended) -> None:
    assert re.search(r"train\.steps +\d+ -> 20", first.out)


def test_the_first_model_is_the_champion_and_the_report_is_written(root: Path, first: Ended) -> None:
    assert (root / "reports/report.html").is_file()
    champion = client(root).get_model_version_by_alias("kshot", "champion")
    assert champion.version in (1, "1")
    run = client(root).get_run(champion.run_id)
    assert run.info.status == "FINISHED"


def test_prefect_has_the_stages_the_log_and_the_result_table(root: Path, first: Ended) -> None:
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        tasks = {name.split("-")[0] for (name,) in database.execute("select name from task_run")}
        log = " ".join(message for (message,) in database.execute("select message from log"))
        artifacts = [key for (key,) in database.execute("select key from artifact")]
    assert {"ingest", "split", "validate", "episodes", "train", "evaluate"} <= tasks
    assert "20 steps in" in log
    assert "retrain-result" in artifacts


def test_the_run_of_prefect_links_to_that_of_mlflow_and_back(root: Path, first: Ended) -> None:
    version = client(root).get_model_version("kshot", "1")
    run = client(root).get_run(version.run_id)
    address = run.data.tags["kshot.prefect_url"]
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        (flow_run, link), *_ = database.execute(
            "select flow_run_id, data from artifact where key = 'mlflow-run' order by created"
        ).fetchall()
    assert address == f"http://127.0.0.1:{ui.PREFECT_PORT}/runs/flow-run/{flow_run}"
    assert f"]({address})" in run.data.tags["mlflow.note.content"]
    there = f"http://127.0.0.1:{ui.MLFLOW_PORT}/#/experiments/{run.info.experiment_id}/runs/{version.run_id}"
    assert there in link


def test_a_retraining_that_failed_is_linked_too(root: Path, broken: tuple[Ended, dict[str, Any]]) -> None:
    (failed,) = client(root).search_runs(["1"], "status = 'FAILED' and attributes.run_name LIKE 'retrain-%'")
    flow_run = failed.data.tags["kshot.prefect_flow_run"]
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        (link,) = database.execute(
            "select data from artifact where key = 'mlflow-run' and flow_run_id = ?", (flow_run,)
        ).fetchone()
    assert failed.info.run_id in link


def test_the_same_again_trains_nothing_and_says_so(again: Ended) -> None:
    assert again.code == 0, again.err
    assert "nothing changed: version" in again.out
    assert re.search(r"version 1\b", again.out)
    assert re.search(r"train +unchanged", again.out)


def test_a_trial_that_fails_is_told_and_the_others_go_on(root: Path, swept: tuple[Ended, Ended]) -> None:
    ended, _ = swept
    assert ended.code == 6, ended.out + ended.err
    reason = r"train.batch.classes is 500: at most .* \(train.batch.classes=500\)"
    assert re.search(rf"1 of 2  trial 1 failed: .*{reason}", ended.out), ended.out
    assert re.search(r"2 of 2  trial 2: \d+\.\d\d % in .* \(train.seed=1\)", ended.out), ended.out
    assert "Accuracy on the 20 validation episodes of 3w1s, by prototype" in ended.out
    page = (root / "reports/sweep.html").read_text()
    assert "Trial 2 of 2 is chosen" in page and "train.batch.classes=500" in page


def test_the_same_sweep_again_repeats_only_what_failed(swept: tuple[Ended, Ended]) -> None:
    first, second = swept
    assert "2 trials, 1 finished before" in second.out and second.code == 6
    assert "trial 1 failed" in second.out and "trial 2: " not in second.out
    figures = [line for line in first.out.splitlines() if line.strip().startswith("2  ")]
    assert figures and figures[0] in second.out


def test_mlflow_has_one_parent_with_a_child_a_trial_and_nothing_is_registered(
    root: Path, swept: tuple[Ended, Ended]
) -> None:
    runs = client(root).search_runs(["1"], "tags.`kshot.sweep` != ''")
    assert [run.info.status for run in runs] == ["FAILED"]
    wanted = f"tags.`mlflow.parentRunId` = '{runs[0].info.run_id}'"
    finished, *failed = sorted(client(root).search_runs(["1"], wanted), key=lambda run: run.info.status, reverse=True)
    assert [run.info.status for run in (finished, *failed)] == ["FINISHED", "FAILED", "FAILED"]
    assert "train.batch.classes is 500: at most" in failed[0].data.tags["kshot.failure"]
    names = {"kshot.data_version", "kshot.git_commit", "kshot.lineage", "kshot.params_hash"}
    assert names <= finished.data.tags.keys() and finished.data.params["train.seed"] == "1"
    measured = finished.data.metrics
    assert {"validation/3w1s/accuracy", "train/loss", "train/seconds"} <= measured.keys()
    assert not any(name.startswith("test/") for name in measured)


def test_a_sweep_leaves_the_project_as_it_was_and_no_worktree(root: Path, swept: tuple[Ended, Ended]) -> None:
    listed = subprocess.run(["git", "worktree", "list"], cwd=root, check=True, capture_output=True, text=True).stdout
    assert len(listed.splitlines()) == 1
    assert list((root / ".kshot").glob("sweep-*-*")) == []
    assert "seed: 1" not in (root / "params.yaml").read_text()
    (trial,) = (path.parent for path in (root / ".kshot/sweep").glob("*/trial.json"))
    found = json.loads((trial / "trial.json").read_text())
    assert len(found["accuracies"]) == 20 and 0 < sum(found["accuracies"]) <= 20


def test_a_sweep_needs_what_it_works_with_to_be_committed(root: Path, swept: tuple[Ended, Ended]) -> None:
    plain = (root / "dvc.yaml").read_text()
    try:
        (root / "dvc.yaml").write_text(plain + "# an edit\n")
        ended = kshot(root, "sweep", "batches.yaml")
    finally:
        (root / "dvc.yaml").write_text(plain)
    assert ended.code == 7 and len(ended.err.splitlines()) == 1
    assert re.search(r"dvc.yaml differ from commit \w{10}, at which the trials work; commit them first", ended.err)


def test_a_second_sweep_is_told_of_the_first(root: Path, swept: tuple[Ended, Ended]) -> None:
    with project_lock.hold(root, "kshot sweep", project_lock.SWEEP):
        ended = kshot(root, "sweep", "batches.yaml")
    assert ended.code == 8 and f"`kshot sweep` (process {os.getpid()}) has been working" in ended.err


def test_ctrl_c_ends_with_one_line_and_nobody_left(interrupted: Interrupted) -> None:
    ended = interrupted.ended
    assert ended.code == 130
    assert ended.err.startswith("kshot: error: interrupted; ") and ended.err.count("\n") == 1
    assert interrupted.left == []


def test_ctrl_c_leaves_the_champion_and_the_data_version(interrupted: Interrupted) -> None:
    assert interrupted.after == interrupted.before


def test_a_second_command_is_told_who_works(interrupted: Interrupted) -> None:
    assert interrupted.busy.code == 8
    assert "`kshot retrain` (process " in interrupted.busy.err


def test_the_next_retraining_finds_nothing_in_its_way(refused: Ended) -> None:
    assert refused.code == 0, refused.err
    assert "25 steps in" in refused.out


def test_a_refused_model_is_a_challenger_and_the_flow_ends_well(root: Path, refused: Ended) -> None:
    assert re.search(r"champion +no", refused.out)
    assert int(client(root).get_model_version_by_alias("kshot", "challenger").version) == 2
    assert int(client(root).get_model_version_by_alias("kshot", "champion").version) == 1


def test_broken_data_stops_before_training_and_names_the_class(broken: tuple[Ended, dict[str, Any]]) -> None:
    ended, _ = broken
    assert ended.code == 4
    assert "group1/class03/" in ended.err and "reports/validation/index.html" in ended.err
    assert all(len(line) <= 80 for line in ended.err.splitlines())


def test_broken_data_leaves_the_champion_and_is_findable(root: Path, broken: tuple[Ended, dict[str, Any]]) -> None:
    _, before = broken
    assert state(root) == before
    assert versions(root) == 2
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    mlflow.set_registry_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    assert len(mlflow.search_runs(search_all_experiments=True, filter_string="status = 'FAILED'")) >= 1


def test_the_first_data_version_can_be_had_back(root: Path, broken: tuple[Ended, dict[str, Any]]) -> None:
    first_version = json.loads((root / "data/versions.jsonl").read_text().splitlines()[0])["md5"]
    shutil.rmtree(root / "data/packed")
    ended = kshot(root, "retrain", "--data", first_version[:6])
    assert ended.code == 0, ended.err
    assert "nothing changed: version" in ended.out
