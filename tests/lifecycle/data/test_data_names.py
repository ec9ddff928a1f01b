"""Named data versions and their restoration: a name is never taken for a version, the current version is never lost."""

import shutil
from pathlib import Path

import pytest

from kshot import cli
from kshot.errors import DataError
from kshot.lifecycle.data import data_names, data_versions
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.project import layout
from tests.lifecycle import raw_project


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data versions, the second in data/raw."""
    folder = tmp_path_factory.mktemp("named")
    root = raw_project.make(folder / "project")
    for name, images in (("one", 2), ("two", 3)):
        add_version.add(root, str(raw_project.write_tree(folder / name, {"a": images, "b": 2})))
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "project"))


def pictures(root: Path) -> dict[str, bytes]:
    return raw_project.files_below(root / layout.RAW)


def test_a_name_stands_for_its_version_wherever_one_is_asked_for(root: Path) -> None:
    one, two = data_versions.versions(root)
    assert data_names.give(root, "season-1", one.md5) is None
    assert data_versions.find(root, "season-1") == one and data_names.of(root, one.md5) == ["season-1"]
    with pytest.raises(DataError, match=r"'season-1' belongs to data version \w{8}; take another name, or move it"):
        data_names.give(root, "season-1", two.md5)
    assert data_names.give(root, "season-1", two.md5, move=True) == one.md5
    assert data_versions.find(root, "season-1") == two
    assert data_names.take_away(root, "season-1") == two.md5
    with pytest.raises(DataError, match="is no data version here"):
        data_versions.find(root, "season-1")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cafe", "could be the start of a data version"),
        ("two words", "cannot be used"),
        ("", "cannot be used"),
        ("-x", "cannot be used"),
    ],
)
def test_a_name_that_is_none_is_refused(root: Path, name: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        data_names.give(root, name, data_versions.versions(root)[0].md5)
    assert not (root / layout.NAMES).exists()


def test_a_damaged_file_and_an_unknown_name_are_told(root: Path) -> None:
    with pytest.raises(DataError, match="has the name 'x'; the names are: none"):
        data_names.take_away(root, "x")
    (root / layout.NAMES).write_text("[")
    with pytest.raises(DataError, match=r"names.json is damaged .*; take it from git again"):
        data_versions.find(root, "x")


def test_the_verbs_name_list_restore_and_go_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    one, two = data_versions.versions(root)
    before = pictures(root)
    assert cli.main(["data", "tag", one.short, "season-1"]) == 0
    assert cli.main(["data", "restore", "season-1"]) == 0
    told = capsys.readouterr().out
    assert f"season-1 is data version {one.short}; " in told and "4 images of 2 classes" in told
    assert f"back to what was there: kshot data restore {two.short}" in told
    assert data_versions.current(root) == one and len(pictures(root)) == 5
    assert cli.main(["data", "restore", "season-1"]) == 0 and "already" in capsys.readouterr().out
    assert cli.main(["data", "versions"]) == 0 and "season-1, one" in capsys.readouterr().out
    assert cli.main(["data", "restore", two.short]) == 0 and pictures(root) == before
    assert cli.main(["data", "untag", "season-1"]) == 0
    assert cli.main(["data", "restore", "season-1"]) == DataError.exit_code


def test_changes_that_no_version_has_are_not_lost(root: Path) -> None:
    (root / layout.RAW / "images/a/0.png").write_bytes(b"mine")
    before = pictures(root)
    with pytest.raises(
        DataError, match="holds changes that are in no data version, or another branch's data; move it away"
    ):
        restore.checkout(root, data_versions.versions(root)[0])
    assert pictures(root) == before


def test_a_present_version_that_the_cache_lost_is_kept_before_it_is_replaced(root: Path) -> None:
    one, two = data_versions.versions(root)
    before, cache = pictures(root), root / ".dvc/cache/files/md5"
    ours = {path for path in cache.rglob("*") if path.is_file() and path.read_bytes() in before.values()}
    assert ours
    lost = next(path for path in sorted(ours) if b"images/a/2.png" in path.read_bytes())  # the manifest of two alone
    lost.unlink()
    restore.checkout(root, one)
    assert data_versions.current(root) == one and lost.exists()
    restore.checkout(root, two)
    assert pictures(root) == before


def test_a_present_version_that_the_ledger_lost_is_entered_again(root: Path) -> None:
    one, two = data_versions.versions(root)
    ledger = root / layout.VERSIONS
    ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
    restore.checkout(root, one)
    known = data_versions.versions(root)
    assert [version.md5 for version in known] == [one.md5, two.md5] and known[1].note == "found in data/raw"
    restore.checkout(root, known[1])
