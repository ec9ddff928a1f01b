"""`kshot doctor` from a person's view: its lines, exit codes and repairs, and the modules it must not import."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.doctor import telemetry
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import no_telemetry
from kshot.lifecycle.tracking import store
from tests import imports_of
from tests.lifecycle import raw_project
from tests.lifecycle.doctor.test_runs import begin, dead_process
from tests.lifecycle.pipeline.test_schedule import ALL

COLUMNS = "id, name, flow_id, deployment_id, state_type, state_name, expected_start_time, start_time"  # read of a run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing is wrong, and a shell in which nothing sends anything."""
    made = raw_project.make(tmp_path / "root")
    for name in ("PREFECT_HOME", "PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**no_telemetry.SWITCHES, **dict(telemetry.SWITCH.values())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(made)
    return made


def test_where_nothing_is_wrong_it_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == "nothing is wrong\n"
    assert not (root / "mlruns").exists() and not (root / ".kshot").exists()


def test_what_must_be_mended_is_a_line_each_and_exit_code_13(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule.write(root, ALL)
    begin(root, dead_process())
    assert cli.main(["doctor"]) == 13
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all("; needs " in line and "; mend: " in line for line in lines[:2])
    assert lines[0].startswith("! runs       RUNNING in MLflow though the process is gone: ")
    assert lines[1].startswith("! schedule   cron, every, new-data is scheduled in .kshot/schedule.json")
    assert lines[2] == "2 must be mended"


def test_what_can_be_mended_is_and_it_looks_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begin(root, dead_process())
    assert cli.main(["doctor", "--mend"]) == 0
    assert capsys.readouterr().out == f"mended: KILLED in MLflow now: {run[:8]}\nnothing is wrong\n"


def test_what_two_checks_stumble_over_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mlruns").mkdir()
    (root / store.DATABASE).write_text("a page of a proxy that said no\n" * 100)
    schedule.write(root, ALL)
    (root / schedule.FILE).write_text("{")
    (root / ".kshot/prefect").mkdir()
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        for table in ("flow (id, name)", "deployment (id, name)", f"flow_run ({COLUMNS})"):
            database.execute(f"create table {table}")
    assert cli.main(["doctor"]) == 13
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "schedule.json is damaged" in lines[0] and "file is not a database" in lines[1]


def test_a_database_of_another_shape_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".kshot/prefect").mkdir(parents=True)
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        database.execute("create table other (id)")
    assert cli.main(["doctor"]) == 13
    told, _ = capsys.readouterr().out.splitlines()
    assert told.startswith("! prefect    this could not be looked at: no such table: flow_run; needs files")


def test_a_store_that_cannot_be_used_is_a_finding_like_others(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    schedule.write(root, ALL)
    assert cli.main(["doctor"]) == 13
    told = capsys.readouterr().out
    assert "! runs       MLflow's server http://127.0.0.1:9 did not answer" in told
    assert "! schedule" in told


def test_a_variable_that_the_person_set_is_worth_a_line(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    monkeypatch.delenv("DO_NOT_TRACK")
    assert cli.main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("- telemetry  prefect, huggingface_hub would send") and "1 worth knowing" in told


def test_it_imports_neither_torch_nor_prefect(root: Path) -> None:
    begin(root, os.getpid())
    assert (root / store.DATABASE).exists()
    assert imports_of.run_without({"torch", "timm", "prefect", "great_expectations"}, root, "doctor") == 0
