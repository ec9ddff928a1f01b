"""A database that is empty, truncated, foreign or from another place is never written to; the remedy is named."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.doctor import moved
from kshot.lifecycle.history import history
from kshot.lifecycle.registry import catch_up, gate_decision, registered_files
from kshot.lifecycle.tracking import own_database, store
from tests.lifecycle import registered_versions
from tests.lifecycle.raw_project import files_below
from tests.lifecycle.registered_versions import judgement

GO_ON = """
import sys
from pathlib import Path
from kshot.lifecycle.registry import gate_decision
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement

gate_decision.record_decision(Path(sys.argv[1]), "2", judgement(True, "1"), "r")
registered_versions.add(Path(sys.argv[1]), store.client(), 3)
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = registered_versions.write(tmp_path_factory.mktemp("template"), 2)
    gate_decision.record_decision(root, "1", judgement(True), "r")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A project with a champion and what it remembers of its history."""
    root = registered_versions.copy(template, tmp_path / "project")
    shutil.copy(template / own_database.REMEMBERED, root / own_database.REMEMBERED)
    return root


def test_a_sound_database_is_taken(root: Path) -> None:
    assert own_database.require_sound(root) and len(history.history(root)) == 1


def test_a_new_project_has_none(tmp_path: Path) -> None:
    assert not own_database.require_sound(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"mlruns/mlflow.db is empty \(0 bytes\); bring it back from a copy, or to start without"),
        (b"no database" * 100, "mlruns/mlflow.db is damaged: it is no sqlite database; bring it back from a copy"),
    ],
)
def test_what_is_no_database_is_refused_and_left_alone(root: Path, content: bytes, told: str) -> None:
    (root / store.DATABASE).write_bytes(content)
    with pytest.raises(RegistryError, match=told):
        catch_up.catch_up(root)
    assert (root / store.DATABASE).read_bytes() == content


def test_an_empty_database_of_a_project_without_history_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / store.DATABASE).touch()
    with pytest.raises(RegistryError, match="is empty"):
        store.connect(tmp_path)
    assert (tmp_path / store.DATABASE).stat().st_size == 0


def test_one_that_was_cut_off_is_refused(root: Path) -> None:
    path = root / store.DATABASE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RegistryError, match=r"is cut off: it has [\d,]+ of [\d,]+ bytes; bring it back"):
        store.connect(root)


def test_another_programs_database_is_refused(root: Path) -> None:
    (root / store.DATABASE).unlink()
    with closing(sqlite3.connect(root / store.DATABASE)) as database:
        database.execute("create table notes (text)")
    with pytest.raises(RegistryError, match="is not MLflow's database: it lacks the table experiments"):
        store.connect(root)


def test_a_database_that_is_gone_is_not_made_anew(root: Path) -> None:
    (root / store.DATABASE).unlink()
    with pytest.raises(RegistryError, match="mlflow.db is gone, and this project had a history of promotions"):
        store.connect(root)
    assert not (root / store.DATABASE).exists()


def test_a_new_database_in_the_place_of_the_old_one_is_refused(root: Path, tmp_path: Path) -> None:
    store.connect(tmp_path / "new")
    shutil.copy(tmp_path / "new" / store.DATABASE, root / store.DATABASE)
    with pytest.raises(RegistryError, match="is not the one that this project had: it lacks the history"):
        store.connect(root)


def test_a_copy_says_so_before_it_writes_and_leaves_the_original_as_it_was(template: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(template, tmp_path / "copy"))
    before, ours = files_below(template), files_below(copy)
    with pytest.raises(RegistryError, match=rf"was copied from {template}, and would write its runs and models there"):
        gate_decision.record_decision(copy, "2", judgement(True, "1"), "r")
    assert files_below(copy) == ours
    moved.rewrite(copy, (template / store.ARTIFACTS).resolve())
    # In a process of its own: MLflow remembers in each where the files of a run are.
    subprocess.run([sys.executable, "-c", GO_ON, str(copy)], check=True)
    assert len(files_below(copy)) > len(ours) and moved.findings(copy) == []
    assert files_below(template) == before


def test_a_moved_project_says_so(template: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(template, tmp_path / "first"))
    moved.rewrite(first, (template / store.ARTIFACTS).resolve())
    second = first.rename(tmp_path / "second")
    with pytest.raises(RegistryError, match=rf"was moved from {first}; `kshot doctor --mend` moves its records"):
        store.connect(second)


def test_mending_a_copy_keeps_the_links_to_files_that_it_lacks(template: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(template, tmp_path / "copy"))
    (run,) = {path.parents[1] for path in (copy / store.ARTIFACTS).rglob("decisions/*.json")}
    shutil.rmtree(run)
    said = moved.rewrite(copy, (template / store.ARTIFACTS).resolve())
    assert "stay, because their files are only there" in said
    (finding,) = moved.findings(copy)
    assert not finding.must and finding.by_itself is None and "and not in this project" in finding.found
    for version in ("1", "2"):
        registered_files.require_whole(copy, version)
