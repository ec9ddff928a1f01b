"""Two projects on one MLflow store never see each other's versions, aliases, runs or history."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.audit.data import audit_data, champions
from kshot.lifecycle.audit.subject import opened
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.doctor import runs as doctor_runs
from kshot.lifecycle.history import anchor, history, history_run
from kshot.lifecycle.prune import kept
from kshot.lifecycle.prune.proposal import delete, propose
from kshot.lifecycle.registry import catch_up, gate_decision, model_versions, promotion, registered_files
from kshot.lifecycle.registry.listing import listing
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.first_commits import SETTING, first_commits
from kshot.params import project_name
from tests.lifecycle import raw_project
from tests.lifecycle.prune.test_prune import registered
from tests.lifecycle.registered_versions import judgement

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *IDENTITY, *arguments], cwd=root, check=True)


def project(root: Path, name: str, first_commit: str = "") -> Path:
    """A project on the named store, with one data version and a commit; every one is of the same images."""
    raw_project.make(root)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("project: kshot ", f"project: {name} "))
    git(root, "add", ".")
    git(root, "commit", "-qm", first_commit or name)
    add_version.add(root, str(raw_project.write_tree(root.parent / f"{root.name} images", {"a": 2, "b": 2})))
    return root


def retrained(root: Path, *numbers: int) -> Path:
    """Versions that were registered, and no more; the first is champion by the gate's word."""
    where = store.connect(root)
    history_run.begin(store.client(), root, where)
    data = data_versions.versions(root)[-1].md5
    for number in numbers:
        (scratch := root.parent / f"{root.name} scratch {number}").mkdir()
        registered(root, number, data, scratch)
        why = f"{project_name.of(root)} {number}"
        decided = judgement(number == 1, None if number == 1 else "1", why)
        gate_decision.record_decision(root, str(number), decided, "r")
    return root


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database before any project: making its tables takes longer than everything else here."""
    root = tmp_path_factory.mktemp("empty")
    (root / "params.yaml").write_text("project: empty\n")
    store.connect(root)
    return root / store.DATABASE


@pytest.fixture
def shared(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "store").mkdir()
    shutil.copy(empty, tmp_path / "store/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store/mlflow.db'}")
    return tmp_path


@pytest.fixture
def both(shared: Path) -> tuple[Path, Path]:
    """A shop with two versions, letters with one."""
    shop, letters = project(shared / "shop", "shop"), project(shared / "letters", "letters")
    return retrained(shop, 1, 2), retrained(letters, 1)


def test_each_has_its_versions_its_champion_and_its_history(both: tuple[Path, Path]) -> None:
    shop, letters = both
    assert [one.version for one in listing(shop).models] == ["1", "2"]
    assert [one.version for one in listing(letters).models] == ["1"]
    assert history.aliases(shop) == {"champion": "1", "challenger": "2"}
    assert history.aliases(letters) == {"champion": "1"}

    promotion.promote(shop, "2", "needed", allow_unrecorded=True)
    promotion.rollback(shop, "not in the field")
    promotion.promote(shop, "2", "needed after all", allow_unrecorded=True)
    assert history.aliases(letters) == {"champion": "1"}
    assert [event.action for event in history.history(letters)] == ["promoted"]
    assert len(history.history(shop)) == 5
    assert listing(shop).problems == listing(letters).problems == ()
    for root in both:
        assert catch_up.catch_up(root) == ()
        record = history.record(root)
        assert record.model == project_name.of(root)
        assert anchor.problems(root, record.run_id, record.events) == []
    with pytest.raises(RegistryError, match="no version '2'"):
        model_versions.find(letters, "2")


def test_an_audit_by_data_version_finds_the_project_s_own_runs(both: tuple[Path, Path], tmp_path: Path) -> None:
    shop, letters = both
    (data,) = {version.md5 for root in both for version in data_versions.versions(root)}  # of the same images
    found = {root: audit_data(root, data) for root in both}
    assert [one.version for one in found[shop].models] == ["1", "2"]
    assert [one.version for one in found[letters].models] == ["1"]
    of_shop = {model.run_id for model in listing(shop).models}
    assert not of_shop & {run.run_id for run in found[letters].runs}
    now = history.history(letters)[-1].when
    assert [one.version for one in champions(letters, now)] == ["1"]
    assert opened(letters, "champion", tmp_path).run_id == listing(letters).models[0].run_id


def test_pruning_one_keeps_and_deletes_nothing_of_the_other(both: tuple[Path, Path]) -> None:
    shop, letters = both
    promotion.reject(shop, "2", "no use")
    assert [version.number for version in kept.versions(letters)] == ["1"]
    proposed = propose(shop)
    assert [item.weights.version for item in proposed.items if item.weights] == ["2"]
    delete(shop, proposed)
    assert "kshot.pruned" in model_versions.find(shop, "2").tags
    registered_files.fetched(letters, "1", letters / "scratch")
    assert [item for item in propose(letters).items if item.weights] == []


def test_a_run_of_the_other_that_hangs_is_none_of_ours(both: tuple[Path, Path]) -> None:
    shop, _ = both
    client = store.client()
    experiment = client.get_experiment_by_name("letters")
    assert experiment is not None
    tags = {"kshot.host": os.uname().nodename, "kshot.root": str(shop), "kshot.process": "999999999"}
    client.create_run(experiment.experiment_id, tags=tags)  # even where a container has our paths
    assert doctor_runs.findings(shop) == []


def test_the_model_that_was_deleted_is_found_again_by_its_own_history(both: tuple[Path, Path]) -> None:
    shop, letters = both
    store.connect(shop)
    client = store.client()
    ours = history.record(shop).run_id
    client.delete_registered_model("shop")
    assert history.record(shop).run_id == ours and history_run.registered(client, letters) is not None
    assert "registered model shop was deleted" in history.record(shop).trouble
    assert history.record(letters).trouble == ""


def test_another_project_of_one_name_is_told_before_a_byte_is_written(both: tuple[Path, Path], shared: Path) -> None:
    other = project(shared / "other", "shop", first_commit="another beginning")
    before = (shared / "store/mlflow.db").read_bytes()
    with pytest.raises(RegistryError, match=r"^another project called shop is at [^\n]*choose another name[^\n]*$"):
        store.connect(other)
    assert (shared / "store/mlflow.db").read_bytes() == before
    git(other, "config", SETTING, min(first_commits(both[0])))
    store.connect(other)  # a person said that it is the same


def test_a_clone_of_the_project_is_the_project(both: tuple[Path, Path], shared: Path) -> None:
    subprocess.run(["git", "clone", "-q", both[0], shared / "clone"], check=True)
    assert history.aliases(shared / "clone") == history.aliases(both[0])


def test_a_project_without_a_name_finds_what_was_registered_as_kshot(shared: Path) -> None:
    root = retrained(project(shared / "old", "kshot"), 1, 2)
    promotion.promote(root, "2", "needed", allow_unrecorded=True)
    params = root / "params.yaml"
    params.write_text("".join(line for line in params.read_text().splitlines(True) if not line.startswith("project:")))
    assert history.aliases(root) == {"champion": "2"}
    assert promotion.rollback(root, "not in the field").after == {"champion": "1"}
    record = history.record(root)
    assert len(record.events) == 4 and anchor.problems(root, record.run_id, record.events) == []
    assert [one.version for one in audit_data(root, data_versions.versions(root)[-1].md5).models] == ["1", "2"]
