"""A project that was really moved: its database is changed completely or not at all."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from kshot.errors import Busy, RegistryError
from kshot.lifecycle.doctor import moved
from kshot.lifecycle.project import project_lock
from kshot.lifecycle.tracking import own_database, store
from tests.lifecycle import registered_versions

KEPT = "evaluation/cells.parquet"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a registered version, in a folder whose name an address has to quote."""
    return registered_versions.write(tmp_path_factory.mktemp("a place") / "old house", count=1)


@pytest.fixture
def places(template: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Where a project was and where it is now; `template` stays where it is, and the records of both name it."""
    new = tmp_path / "new house"
    shutil.copytree(template, new)
    return template, new


def evidence(root: Path) -> bytes:
    """A file that the version's run kept, asked for by its address."""
    address = f"sqlite:///{root}/mlruns/mlflow.db"
    client = MlflowClient(address, registry_uri=address)
    run = client.get_model_version("kshot", "1").run_id
    return Path(client.download_artifacts(run, KEPT)).read_bytes()


def scribble(root: Path, text: bytes) -> None:
    """Write into the file of this very project."""
    (found,) = (root / store.ARTIFACTS).rglob(Path(KEPT).name)
    found.write_bytes(text)


def values(root: Path) -> list[str]:
    with closing(sqlite3.connect(root / store.DATABASE)) as database:
        return [
            str(row[0]) for table, column in moved.COLUMNS for row in database.execute(f"select {column} from {table}")
        ]


def test_a_project_at_its_place_is_well(template: Path, tmp_path: Path) -> None:
    assert moved.findings(template) == []
    assert moved.findings(tmp_path) == []


def test_a_copy_is_told_that_it_uses_the_others_files_and_mended(places: tuple[Path, Path]) -> None:
    old, new = places
    scribble(new, b"the copy's")
    assert evidence(new) != b"the copy's"  # the fault: it reads the other project's files
    (finding,) = moved.findings(new)
    assert f"lie below {old}/mlruns/artifacts" in finding.found and "not another's" in finding.need
    assert finding.by_itself is not None
    done = finding.by_itself()
    assert moved.findings(new) == []
    assert evidence(new) == b"the copy's"
    backup = new / done.rsplit(" ", 1)[1]
    with closing(sqlite3.connect(backup)) as before:
        assert before.execute("pragma quick_check(1)").fetchone() == ("ok",)
        (was,) = before.execute("select artifact_uri from runs").fetchone()
    assert was.startswith(old.as_uri())


def test_a_moved_project_finds_its_files_again(places: tuple[Path, Path], tmp_path: Path) -> None:
    template, old = places
    moved.rewrite(old, template / store.ARTIFACTS)
    new = tmp_path / "newer"
    shutil.move(old, new)
    with pytest.raises(MlflowException):
        evidence(new)
    (finding,) = moved.findings(new)
    assert "or its models cannot be loaded" in finding.need
    assert finding.by_itself is not None and "are now below" in finding.by_itself()
    assert evidence(new)


def test_without_its_artifacts_only_a_person_can_help(places: tuple[Path, Path]) -> None:
    _, new = places
    shutil.rmtree(new / store.ARTIFACTS)
    (finding,) = moved.findings(new)
    assert finding.by_itself is None and "copy them from" in finding.mend


def test_a_change_that_fails_half_way_changes_nothing(places: tuple[Path, Path]) -> None:
    old, new = places
    before = values(new)
    with closing(sqlite3.connect(new / store.DATABASE)) as database:
        database.execute(
            "create trigger no before update on model_versions begin select raise(abort, 'disk I/O error'); end"
        )
    with pytest.raises(RegistryError, match="could not be changed: disk I/O error; nothing of it was"):
        moved.rewrite(new, old / store.ARTIFACTS)
    assert values(new) == before


def test_nothing_is_changed_while_another_command_works(places: tuple[Path, Path]) -> None:
    _, new = places
    before = values(new)
    code = (
        "import sys; from pathlib import Path; from kshot.lifecycle.doctor import moved; "
        "moved.rewrite(Path(sys.argv[1]), Path('/x'))"
    )
    with project_lock.hold(new, "kshot retrain"):
        ended = subprocess.run([sys.executable, "-c", code, str(new)], capture_output=True, text=True, check=False)
    assert Busy.__name__ in ended.stderr and values(new) == before


def test_places_that_are_no_projects_are_left_alone() -> None:
    for address in ("s3://bucket/mlruns/artifacts/1", "mlflow-artifacts:/1", "models:/m-1", "/data/elsewhere", ""):
        assert list(own_database.artifacts_of(address)) == []
    assert list(own_database.artifacts_of("file:///a%20b/mlruns/artifacts/1/x")) == [Path("/a b/mlruns/artifacts")]
