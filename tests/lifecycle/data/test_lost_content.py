"""Lost content of a data version: the remedy names the base version and works as it is typed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from kshot import cli
from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, lost_content
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.dvc_cache import cache_of, listing, locate, place
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from tests.lifecycle.raw_project import make, write_tree

A, B, C = (letter * 32 for letter in "abc")


def version(
    md5: str, base: str = "", *, source: str = "photos", note: str = "", address: str = "0" * 16
) -> DataVersion:
    return DataVersion(md5, "2026-03-01T00:00:00+00:00", 4, 2, 5, 9, source, note, (), address, base)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The versions that DVC's cache has, to be filled."""
    found: set[str] = set()
    monkeypatch.setattr(lost_content, "_is_stored", lambda root, md5: md5 in found)
    return found


def test_a_version_without_a_base_is_added_from_its_source(tmp_path: Path, stored: set[str]) -> None:
    told = lost_content.way_back(tmp_path, [version(A)], A)
    assert told == "it came from photos, added 2026-03-01: `kshot data add .../photos`"
    drawn = lost_content.way_back(tmp_path, [version(A, source="glyphs", address="")], A)
    assert drawn.endswith(": `kshot data add glyphs`")
    assert lost_content.way_back(tmp_path, [], A) == "it came from a source that is not in the ledger"


def test_bases_that_are_lost_too_come_first(tmp_path: Path, stored: set[str]) -> None:
    known = [version(A, source="first"), version(B, A, source="second"), version(C, B, source="third")]
    stored |= {A, B}
    assert lost_content.way_back(tmp_path, known, C) == (
        f"it came from third, added 2026-03-01 to data version {B[:8]}: "
        f"`kshot data restore {B[:8]}`, then `kshot data add .../third --extend`"
    )
    stored.clear()
    assert lost_content.way_back(tmp_path, known, C).partition(": ")[2] == (
        "`kshot data add .../first`, then `kshot data add .../second --extend`, "
        "then `kshot data add .../third --extend`"
    )


def test_feedback_and_erasures_are_no_source_to_add(tmp_path: Path, stored: set[str]) -> None:
    stored.add(A)
    labelled = version(B, A, source="feedback", address="")
    erased = version(C, A, note=f"{A[:8]} without 2 erased images")
    assert lost_content.way_back(tmp_path, [version(A), labelled], B).endswith(
        f"`kshot data restore {A[:8]}`, then `kshot feedback add-data`"
    )
    assert "then `kshot forget` for the images" in lost_content.way_back(tmp_path, [version(A), erased], C)


def test_the_remedy_works_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "project")
    first = add_version.add(root, str(write_tree(tmp_path / "first", {"a": 1, "b": 1})))
    second = add_version.add(root, str(write_tree(tmp_path / "second", {"c": 1})), add_version.AddOptions(extend=True))
    assert lost_content.way_back(root, [second], second.md5) == (
        f"data/raw still has it, and `kshot data restore {second.short}` stores it again"
    )
    restore.checkout(root, first)
    _lose(root, second, "images/c/0.png")
    with pytest.raises(DataError, match=rf"nor in a remote; it came from second, .* {first.short}") as caught:
        restore.checkout(root, second)
    commands = re.findall(r"`kshot ([^`]+)`", str(caught.value))
    assert len(commands) == 2
    monkeypatch.chdir(root)
    for command in commands:
        assert cli.main(shlex.split(command.replace(".../", f"{tmp_path}/"))) == 0
    capsys.readouterr()
    assert data_versions.current(root) == second
    locate(root, f"{second.md5}.dir", second.size)


def test_a_lost_file_that_data_raw_still_has_stops_no_command(tmp_path: Path) -> None:
    root = make(tmp_path / "project")
    first = add_version.add(root, str(write_tree(tmp_path / "first", {"a": 2, "b": 2})))
    _lose(root, first, "images/a/0.png")
    with pytest.raises(Broken):
        locate(root, f"{first.md5}.dir", first.size)
    restore.refuse_unsaved(root)
    locate(root, f"{first.md5}.dir", first.size)
    (root / layout.RAW / "images/a/0.png").write_bytes(b"changed")
    shutil.rmtree(cache_of(root))
    with pytest.raises(DataError, match="holds changes that are in no data version"):
        restore.refuse_unsaved(root)


def _lose(root: Path, version: DataVersion, name: str) -> None:
    md5 = next(entry["md5"] for entry in listing(root, f"{version.md5}.dir") if entry["relpath"] == name)
    place(cache_of(root), md5).unlink()
