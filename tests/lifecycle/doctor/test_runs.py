"""Runs whose process has really ended, and one whose process is still running."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from kshot.lifecycle.doctor import runs
from kshot.lifecycle.tracking import store


def begin(
    root: Path, process: int, start_ms: int | None = None, host: str = "", tags: dict[str, str] | None = None
) -> str:
    """A run as a retraining begins it."""
    store.connect(root)
    client = store.client()
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    all_tags = {
        **(tags or {}),
        "kshot.host": host or socket.gethostname(),
        "kshot.root": str(root / ".kshot/worktree"),
        "kshot.process": str(process),
    }
    return str(client.create_run(experiment.experiment_id, start_time=start_ms, tags=all_tags).info.run_id)


def dead_process() -> int:
    with subprocess.Popen(["sleep", "100"]) as process:
        process.kill()
    return process.pid


def test_a_project_without_records_is_well(tmp_path: Path) -> None:
    assert runs.findings(tmp_path) == []
    assert not (tmp_path / "mlruns").exists()


def test_what_a_killed_process_left_is_told_and_ended(tmp_path: Path) -> None:
    gone = begin(tmp_path, dead_process())
    begun_before_us = begin(tmp_path, os.getpid(), start_ms=1_000)  # our number belonged to another process then
    alive, of_another_machine = begin(tmp_path, os.getpid()), begin(tmp_path, 1, host="elsewhere")
    (finding,) = runs.findings(tmp_path)
    assert finding.must and finding.found.startswith("RUNNING in MLflow though the process is gone: ")
    assert len(finding.found.split(", ")) == 2
    assert gone[:8] in finding.found and begun_before_us[:8] in finding.found
    assert finding.by_itself is not None and finding.by_itself().startswith("KILLED in MLflow now: ")
    client = store.client()
    assert [client.get_run(one).info.status for one in (gone, alive, of_another_machine)] == [
        "KILLED",
        "RUNNING",
        "RUNNING",
    ]
    assert "ended without a word" in client.get_run(gone).data.tags["kshot.failure"]
    assert runs.findings(tmp_path) == []


def test_of_a_store_that_others_use_too_only_this_projects_runs_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    begin(mine, dead_process())
    assert runs.findings(theirs) == []
    assert len(runs.findings(mine)) == 1
