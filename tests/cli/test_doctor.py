"""`kshot doctor` as a person runs it: its lines, its exit codes, its mends, and what it does not import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle import quiet, schedule, store
from kshot.lifecycle.doctor import telemetry
from tests.lifecycle import raw_project
from tests.lifecycle.doctor.test_runs import begin, dead_process
from tests.lifecycle.test_schedule import ALL


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing is wrong, and a shell in which nothing sends anything."""
    made = raw_project.make(tmp_path / "root")
    for name in ("PREFECT_HOME", "PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**quiet.SWITCHES, **dict(telemetry.SWITCH.values())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(made)
    return made


def test_where_nothing_is_wrong_it_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == "nothing is wrong\n"
    assert not (root / "mlruns").exists()


def test_what_must_be_mended_is_a_line_each_and_exit_code_13(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule.write(root, ALL)
    begin(root, dead_process())
    assert cli.main(["doctor"]) == 13
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all("; needs " in line and "; mend: " in line for line in lines[:2])
    assert lines[0].startswith("! runs       1 runs are RUNNING in MLflow though their processes are gone")
    assert lines[1].startswith("! schedule   cron, every, new-data is scheduled in .kshot/schedule.json")
    assert lines[2] == "2 must be mended"


def test_what_can_be_mended_is_and_it_looks_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(root, dead_process())
    assert cli.main(["doctor", "--mend"]) == 0
    assert capsys.readouterr().out.splitlines() == ["mended: 1 runs are KILLED in MLflow now", "nothing is wrong"]


def test_a_store_that_cannot_be_used_is_a_finding_like_others(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    schedule.write(root, ALL)
    assert cli.main(["doctor"]) == 13
    told = capsys.readouterr().out
    assert "! runs       MLflow's server http://127.0.0.1:9 did not answer, tried for" in told
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
    code = """
import sys
from kshot import cli
code = cli.main(["doctor"])
print("heavy:", sorted({"torch", "timm", "prefect", "great_expectations"} & set(sys.modules)), code)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "heavy: [] 0", ended.stdout + ended.stderr
