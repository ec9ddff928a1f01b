"""The state of a project, from its files alone, and the next step."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import layout, project_lock
from kshot.lifecycle.registry import gate_decision
from kshot.lifecycle.retraining.standing import Registry, standing
from kshot.lifecycle.tracking import store
from tests.lifecycle import raw_project, registered_versions
from tests.lifecycle.pipeline.test_schedule import ALL
from tests.lifecycle.registered_versions import judgement


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def commands(root: Path) -> list[str]:
    return [command for command, _ in standing(root).steps]


def test_a_new_project_is_told_to_bring_images_or_to_take_the_letters(tmp_path: Path) -> None:
    root = raw_project.make(tmp_path / "root")
    assert dict(standing(root).facts) == {"project": str(root), "data": "none yet", "models": "none yet"}
    assert commands(root) == ["kshot data add FOLDER", "kshot retrain"]


def test_a_folder_in_no_repository_begins_with_git(tmp_path: Path) -> None:
    assert commands(tmp_path)[0] == "git init"


def test_what_waits_comes_first_and_the_champion_is_named(tmp_path: Path) -> None:
    root = registered_versions.write(tmp_path / "project", 2)
    gate_decision.record_decision(root, "1", judgement(True), "r")
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r", datetime.now(UTC) + timedelta(hours=1))
    models = dict(standing(root).facts)["models"]
    assert "champion is version 1" in models and "version 2 waits for approval" in models
    assert [one for one in commands(root) if "2" in one] == ["kshot compare champion 2", "kshot approve 2"]


def test_a_refused_challenger_is_told_with_the_setting_that_refused(tmp_path: Path) -> None:
    root = registered_versions.write(tmp_path / "project", 1)
    (root / "data").mkdir()
    (root / "data/raw.dvc").write_text(f"outs: [{{md5: {registered_versions.DATA}.dir, size: 1, path: raw}}]\n")
    refused = judgement(False, why="5w1s 56.0 % < required 80 % (gate.min_accuracy.5w1s)")
    gate_decision.record_decision(root, "1", refused, "r")
    assert dict(standing(root).facts)["refused"] == ("version 1: 5w1s 56.0 % < required 80 % (gate.min_accuracy.5w1s)")
    assert commands(root)[:3] == ["git init", "kshot retrain", "kshot plan"]


def test_a_schedule_that_nobody_serves_and_a_command_that_goes_on_are_told(tmp_path: Path) -> None:
    schedule.write(tmp_path, ALL)
    assert dict(standing(tmp_path).facts)["schedule"] == "cron, every, new-data, not served now"
    assert commands(tmp_path)[-1] == "kshot schedule"
    with project_lock.hold(tmp_path, "kshot retrain"):
        assert dict(standing(tmp_path).facts)["working"].startswith("`kshot retrain` (process ")


def test_a_forgetting_that_is_not_finished_is_told(tmp_path: Path) -> None:
    (tmp_path / ".kshot").mkdir()
    (tmp_path / layout.FORGETTING).write_text("{}")
    assert "run the same" in dict(standing(tmp_path).facts)["forgetting"]


def test_a_database_that_is_none_is_a_fact_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / store.DATABASE).parent.mkdir()
    (tmp_path / store.DATABASE).write_text("no database at all")
    assert "cannot be read now" in dict(standing(tmp_path).facts)["models"]


def test_a_server_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "`kshot models` reads it" in dict(standing(tmp_path).facts)["models"]


def test_a_version_waits_by_its_tag() -> None:
    found = Registry({}, {"1": {"kshot.decision": "promoted"}, "2": {"kshot.decision": "waiting"}})
    assert found.waiting() == ["2"]


def test_kshot_alone_prints_it_and_imports_nothing_heavy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(root)
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert "data     none yet" in printed and "kshot data add FOLDER" in printed
    code = (
        "import sys; from kshot import cli; cli.main([]);"
        "print(sorted({'torch', 'mlflow', 'prefect', 'pandas', 'dvc', 'numpy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
