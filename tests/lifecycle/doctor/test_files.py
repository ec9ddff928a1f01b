"""Unusable locks, notes and databases, damaged as on real machines."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kshot.lifecycle.doctor import files
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project import no_telemetry, project_lock
from kshot.lifecycle.tracking import store
from tests.lifecycle import raw_project, registered_versions
from tests.lifecycle.pipeline.test_schedule import ALL

NOBODY = 65534


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registered_versions.write(tmp_path_factory.mktemp("template"), count=1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    return raw_project.make(tmp_path / "root")


@pytest.fixture
def open_root(root: Path) -> Iterator[Path]:
    """The same where every user may go: pytest's folders let nobody else through."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copytree(root, Path(folder) / "root"))


def test_a_project_that_works_is_well(root: Path, template: Path) -> None:
    shutil.copytree(template / "mlruns", root / "mlruns")
    schedule.write(root, ALL)
    with project_lock.hold(root, "kshot retrain"):
        assert files.findings(root) == []


def test_a_lock_that_is_no_file_is_told(root: Path) -> None:
    (root / ".kshot/lock").mkdir(parents=True)
    (finding,) = files.findings(root)
    assert "/.kshot/lock cannot be read (Is a directory)" in finding.found
    assert finding.mend.startswith("move it away: mv ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_left_is_told(open_root: Path) -> None:
    with project_lock.hold(open_root, "kshot retrain"):
        pass
    os.seteuid(NOBODY)
    try:
        found = [finding.found for finding in files.findings(open_root)]
    finally:
        os.seteuid(0)
    me = os.environ.get("USER") or NOBODY
    assert found == [f"{open_root}/.kshot belongs to root, and {me} may not write it (Permission denied)"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_of_another_user_in_a_folder_that_all_may_use_is_told(open_root: Path) -> None:
    with project_lock.hold(open_root, "kshot retrain"):
        pass
    (open_root / ".kshot").chmod(0o777)
    os.seteuid(NOBODY)
    try:
        found = [finding.found for finding in files.findings(open_root)]
    finally:
        os.seteuid(0)
    me = os.environ.get("USER") or NOBODY
    assert found == [f"{open_root}/.kshot/lock belongs to root, and {me} may not write this lock (Permission denied)"]


def test_damaged_notes_are_told_with_what_to_do(root: Path) -> None:
    schedule.write(root, ALL)
    path = root / schedule.FILE
    path.write_text(path.read_text()[:100])
    (root / new_data.FILE).write_text("{}")
    told = [str(finding) for finding in files.findings(root)]
    assert "schedule.json is damaged" in told[0] and "remove it and give `kshot schedule` its options again" in told[0]
    assert "new-data.json is damaged" in told[1]


def test_a_damaged_database_is_told(root: Path, template: Path) -> None:
    shutil.copytree(template / "mlruns", root / "mlruns")
    path = root / store.DATABASE
    content = bytearray(path.read_bytes())
    content[4096 : 40 * 4096] = os.urandom(39 * 4096)  # its first page says that it is a database
    path.write_bytes(content)
    (finding,) = files.findings(root)
    assert "mlruns/mlflow.db cannot be used: " in finding.found and "bring it back from a copy" in finding.mend


def test_a_database_that_kshot_made_and_prefect_never_filled_is_well(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a `kshot schedule` that refuses what was typed."""
    home = root / no_telemetry.PREFECT_HOME
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    no_telemetry.keep_prefect_in(root)
    assert (home / "prefect.db").stat().st_size == 0
    assert files.findings(root) == []


def test_what_is_no_database_at_all_is_told(root: Path) -> None:
    path = root / ".kshot/prefect/prefect.db"
    path.parent.mkdir(parents=True)
    path.write_text("a page of a proxy that said no\n" * 100)
    (finding,) = files.findings(root)
    assert "file is not a database" in finding.found and "only the history of flow runs" in finding.mend


def test_a_read_only_file_system_is_no_matter_of_its_owner(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "mlruns").mkdir()

    class Mounted:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr("os.statvfs", lambda _: Mounted)
    monkeypatch.setattr("os.access", lambda path, mode, **_: Path(path) != root / "mlruns" or not mode & os.W_OK)
    (finding,) = files.findings(root)
    assert finding.found == f"{root}/mlruns lies on a read-only file system" and "chown" not in finding.mend


def test_a_database_that_is_in_use_is_not_called_damaged(
    root: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.1)
    shutil.copytree(template / "mlruns", root / "mlruns")
    with closing(sqlite3.connect(root / store.DATABASE, isolation_level=None)) as other:
        other.execute("begin exclusive")
        (finding,) = files.findings(root)
    assert "is in use by another process" in finding.found and not finding.must
    assert "copy" not in finding.mend and finding.mend.startswith("`fuser ")
