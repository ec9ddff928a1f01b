"""Audits of a data version: runs, models, times; a long registry costs no more requests than a short one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kshot.errors import AuditFailed, DataError, ParamsError
from kshot.lifecycle.audit import data, runs
from kshot.lifecycle.history import history
from kshot.lifecycle.registry import gate_decision, model_versions, promotion
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import DATA, fill, judgement, without_git
from tests.lifecycle.registry.test_listing import queries


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 4 on one data version; 1 was champion, then 2, then 1 again."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"))
    for version in ("1", "2", "3", "4"):
        run_id = model_versions.find(root, version).run_id
        store.client().set_tag(run_id, "kshot.data_version", DATA)
        store.client().log_param(run_id, "train.steps", str(10 * int(version)))
        store.client().log_param(run_id, "train.seed", "0")
    gate_decision.record_decision(root, "1", judgement(True), "r")
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    promotion.rollback(root, "not in the field")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    root = registered_versions.copy(template, tmp_path / "project")
    without_git(root)
    return root


def link(found: data.DataAudit, name: str) -> str:
    return next(one.says for one in found.links if one.name == name)


def test_every_run_model_and_reign_of_a_data_version_is_listed(root: Path) -> None:
    found = data.audit_data(root, DATA[:6])
    assert [run.params for run in found.runs] == [{"train.steps": steps} for steps in ("10", "20", "30", "40")]
    assert [run.version for run in found.runs] == ["1", "2", "3", "4"]
    assert [len(model.periods) for model in found.models] == [2, 1, 0, 0]
    assert found.models[0].periods[-1].until is None and found.models[1].decision == "rolled back, for version 1"
    assert [one.name for one in found.failed] == ["data"]  # this registry's data was never in a cache
    assert "neither in DVC's cache nor in a remote" in link(found, "data")


def test_a_deleted_run_is_listed_and_breaks_its_link(root: Path) -> None:
    run_id = model_versions.find(root, "3").run_id
    store.client().delete_run(run_id)
    found = data.audit_data(root, DATA)
    assert [run.status for run in found.runs if run.run_id == run_id] == ["deleted"]
    assert f"run {run_id} of version 3 is deleted" in link(found, "runs")


def test_the_tables_say_what_mlflow_says_of_the_runs(root: Path) -> None:
    long = registered_versions.copy(root, root / "long")
    fill(long, runs=30, versions=3)
    store.connect(long)
    client = store.client()
    client.delete_run(model_versions.find(long, "3").run_id)
    client.create_run("0", tags={"kshot.data_version": DATA})  # of another experiment
    number = client.get_experiment_by_name("kshot").experiment_id
    client.create_run(number, tags={"kshot.data_version": "f" * 32})  # on other data
    database = store.sqlite_file(long)
    assert database is not None
    found = runs.read_tables(database, number, DATA)
    assert len(found) == 34 and any(run.status == "deleted" for run in found)
    assert sorted(found, key=lambda run: run.run_id) == sorted(
        runs.search(client, number, DATA), key=lambda run: run.run_id
    )
    assert [run.started for run in found] == sorted(run.started for run in found)


def test_tables_that_are_not_known_leave_the_question_to_mlflow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.connect(root)
    known = runs.runs_on(store.client(), root, DATA)
    empty = root / "empty.db"
    monkeypatch.setattr(store, "sqlite_file", lambda root: empty)
    assert len(known) == 4
    assert {run.run_id for run in runs.runs_on(store.client(), root, DATA)} == {run.run_id for run in known}


def test_an_unknown_data_version_is_told_with_the_candidates(root: Path) -> None:
    with pytest.raises(DataError, match="'ffff' is no data version here; needs the start of one of"):
        data.audit_data(root, "ffff")


def test_the_champions_of_a_day_and_of_a_moment(root: Path) -> None:
    events = history.history(root)
    today = f"{datetime.fromisoformat(events[0].when):%Y-%m-%d}"
    assert [one.version for one in data.champions(root, today)][:2] == ["1", "2"]
    assert [one.version for one in data.champions(root, events[1].when)] == ["2"]
    assert data.champions(root, "2001-01-01") == ()
    assert [one.version for one in data.champions(root, "2999-01-01")] == ["1"]
    with pytest.raises(ParamsError, match="'last Tuesday' is no time; needs a day or a time"):
        data.champions(root, "last Tuesday")


def test_a_history_that_does_not_hold_does_not_say_who_was_champion(root: Path) -> None:
    store.connect(root)
    store.client().set_registered_model_alias("kshot", "champion", "4")
    with pytest.raises(AuditFailed, match="alias champion was moved from version 1 to version 4, outside kshot"):
        data.champions(root, "2026-03-01")


def test_a_thousand_runs_and_two_hundred_versions_cost_no_more_queries_than_four(root: Path, tmp_path: Path) -> None:
    long = registered_versions.copy(root, tmp_path / "long")
    without_git(long)
    fill(long, runs=1000, versions=200)
    counts = []
    for project in (root, long):
        data.audit_data(project, DATA)
        began = datetime.now(UTC)
        with queries() as sent:
            found = data.audit_data(project, DATA)
        print(f"{len(found.runs)} runs, {len(found.models)} versions: {datetime.now(UTC) - began}")
        counts.append(len(sent))
    assert (len(found.runs), len(found.models)) == (1004, 204)
    assert counts[1] < 100
