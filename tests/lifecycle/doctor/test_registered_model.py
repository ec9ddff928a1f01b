"""The registered model of a real registry, deleted and renamed as on MLflow's page."""

import subprocess
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.doctor import registered_model
from kshot.lifecycle.doctor.checkup import findings_of
from kshot.lifecycle.history import anchor
from kshot.lifecycle.registry import catch_up, gate_decision, promotion
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"), count=2)
    gate_decision.record_decision(root, "1", judgement(True), "r")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = registered_versions.copy(template, tmp_path / "project")
    monkeypatch.chdir(root)
    store.connect(root)
    return root


def test_a_registry_in_order_is_well_and_a_project_without_one_too(root: Path, tmp_path: Path) -> None:
    assert registered_model.findings(root) == []
    assert registered_model.findings(tmp_path / "empty") == []
    assert not (tmp_path / "empty").exists()


def test_an_event_that_a_kill_kept_from_git_is_anchored_by_mend_and_by_the_next_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    gate_decision.record_decision(root, "2", judgement(False, "1"), "r")
    assert registered_model.findings(root) == []
    with monkeypatch.context() as patch:
        patch.setattr(anchor, "keep", lambda *_: None)  # what a kill right after `done` leaves
        promotion.promote(root, "2", "needed now", "Ada")
    (finding,) = registered_model.findings(root)
    assert finding.found.startswith("the last 1 of 3 events are not anchored in git") and not finding.must
    with monkeypatch.context() as patch:
        patch.setattr(anchor, "keep", lambda *_: None)
        assert finding.by_itself is not None and finding.by_itself() == "git anchors no more than before"
    (said,) = catch_up.catch_up(root)
    assert (
        said.startswith("the last 1 of 3 events had not been anchored in git") and registered_model.findings(root) == []
    )
    assert finding.by_itself() == "git anchors no more than before" and catch_up.catch_up(root) == ()


def test_a_deleted_model_is_found_and_the_audit_of_a_day_warns(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.client().delete_registered_model("kshot")
    (finding,) = registered_model.findings(root)
    assert finding.must and finding.found.startswith("the registered model kshot was deleted in MLflow")
    assert "version 1 as champion" in finding.need and "`kshot retrain`" in finding.mend
    assert cli.main(["audit", "--at", "2999-01-01"]) == 0
    answer, warning = capsys.readouterr()
    assert answer.startswith("2999-01-01: version 1, champion ")
    assert warning.startswith("warning: the registered model kshot was deleted in MLflow")


def test_a_renamed_model_is_found_and_the_advice_gives_the_name_back(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.client().rename_registered_model("kshot", "ours")
    (finding,) = registered_model.findings(root)
    assert finding.found.endswith("was renamed to ours in MLflow") and finding.mend.startswith("`kshot models`")
    assert cli.main(["models"]) == 0
    assert registered_model.findings(root) == []
    assert cli.main(["audit", "--at", "2999-01-01"]) == 0
    assert capsys.readouterr().err == ""


def test_a_champion_that_was_deleted_is_found_until_a_person_decides(root: Path) -> None:
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    store.client().delete_model_version("kshot", "2")
    (unrecorded,) = registered_model.findings(root)
    assert unrecorded.must and unrecorded.found == "alias champion was taken away from version 2, outside kshot"
    assert cli.main(["models"]) == 0
    (recorded,) = registered_model.findings(root)
    assert recorded.must and recorded.found.startswith("there is no champion by no decision")
    promotion.rollback(root, "2 was deleted", by="Ada")
    assert registered_model.findings(root) == []


def test_a_deleted_history_is_a_finding(root: Path) -> None:
    experiment = store.client().get_experiment_by_name("kshot promotions")
    assert experiment is not None
    store.client().delete_experiment(experiment.experiment_id)
    (finding,) = findings_of(registered_model.CHECK, lambda: registered_model.findings(root))
    assert "was deleted" in finding.found and "mlflow experiments restore" in finding.mend
