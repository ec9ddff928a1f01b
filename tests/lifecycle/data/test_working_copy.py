"""data/raw and its pointer change together: if a change is interrupted, the previous state is restored."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kshot.errors import Busy, DataError, KshotError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.project import layout
from tests.lifecycle.raw_project import files_below, make

SOURCE = Path(working_copy.__file__).parents[2]
POINTER = "outs:\n- {md5: 0123456789abcdef0123456789abcdef.dir, size: 3, nfiles: 1, hash: md5, path: raw}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / layout.RAW).mkdir(parents=True)
    (tmp_path / layout.RAW / "old").write_text("old")
    (tmp_path / layout.RAW_DVC).write_text(POINTER)
    return tmp_path


class Killed(BaseException):
    """Stands for the moment at which a process ends without a word."""


def change(root: Path) -> None:
    (root / layout.RAW).mkdir()
    (root / layout.RAW / "new").write_text("new")
    (root / layout.RAW_DVC).write_text("new pointer")


def test_a_change_that_ends_well_stays_and_leaves_nothing_else(root: Path) -> None:
    with working_copy.replacing(root):
        assert not (root / layout.RAW).exists()
        change(root)
    assert files_below(root) == {"data/raw/new": b"new", "data/raw.dvc": b"new pointer"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), DataError("x")])
@pytest.mark.parametrize("late", [False, True])
def test_a_change_that_fails_is_undone(root: Path, error: BaseException, late: bool) -> None:
    before = files_below(root)
    with pytest.raises(type(error) if isinstance(error, BaseException) else error), working_copy.replacing(root):
        if late:
            change(root)
        raise error
    assert files_below(root) == before


def test_the_first_version_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(KeyboardInterrupt), working_copy.replacing(tmp_path):
        change(tmp_path)
        raise KeyboardInterrupt
    assert files_below(tmp_path) == {}
    assert not (tmp_path / layout.RAW).exists()


def test_a_pointer_without_its_folder_survives_a_change_that_fails(root: Path) -> None:
    shutil.rmtree(root / layout.RAW)
    with pytest.raises(KeyboardInterrupt), working_copy.replacing(root):
        change(root)
        raise KeyboardInterrupt
    assert files_below(root) == {"data/raw.dvc": POINTER.encode()}


@contextmanager
def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends the block at its step-th change to the disk, as SIGKILL would: nothing is tidied up."""
    left = step

    def counted(name: str, owner: object) -> None:
        real = getattr(owner, name)

        def stopping(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, stopping)

    with monkeypatch.context():
        for name, owner in (("rename", Path), ("unlink", Path), ("rmtree", shutil), ("copyfile", shutil)):
            counted(name, owner)
        yield


def test_a_kill_at_any_step_leaves_the_old_or_the_new_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the process that mends is killed at any step."""
    before = files_below(root)
    after = {"data/raw/new": b"new", "data/raw.dvc": b"new pointer"}
    pristine = root.parent / "pristine"
    shutil.copytree(root, pristine)
    seen = set()
    for step in range(20):
        for mending in range(12):
            shutil.rmtree(root)
            shutil.copytree(pristine, root)
            with monkeypatch.context() as patch:
                try:
                    with dying_at(step, patch), working_copy.replacing(root):
                        change(root)
                except Killed:
                    pass
            with monkeypatch.context() as patch:
                try:
                    with dying_at(mending, patch):
                        working_copy.mend(root)
                except Killed:
                    pass
            working_copy.mend(root)
            found = files_below(root)
            assert found in (before, after), (step, mending, found)
            seen.add(found == after)
    assert seen == {False, True}


def test_mend_does_nothing_where_nothing_is_to_be_mended(root: Path) -> None:
    before = files_below(root)
    working_copy.mend(root)
    assert files_below(root) == before


def test_a_workspace_is_gone_afterwards_also_after_a_kill(root: Path) -> None:
    with working_copy.workspace(root) as folder:
        (folder / "x").write_text("x")
        assert folder.parent == root / "data"
    assert not folder.exists()
    folder.mkdir()
    working_copy.mend(root)
    assert not folder.exists()


def test_the_pointer_is_read(root: Path) -> None:
    assert working_copy.tracked(root) == working_copy.Tracked("0123456789abcdef0123456789abcdef", 3, 1)
    (root / layout.RAW_DVC).unlink()
    assert working_copy.tracked(root) is None


@pytest.mark.parametrize("text", ["", "outs: []", "outs: [{path: raw}]", "{{{", "\x00"])
def test_a_damaged_pointer_is_told(root: Path, text: str) -> None:
    (root / layout.RAW_DVC).write_text(text)
    with pytest.raises(DataError, match="raw.dvc is damaged .*; take it from git again"):
        working_copy.tracked(root)


def test_what_is_in_no_version_is_not_thrown_away(tmp_path: Path) -> None:
    root = make(tmp_path)
    working_copy.refuse_unsaved(root)  # nothing there, nothing to lose
    (root / layout.RAW).mkdir(parents=True)
    (root / layout.RAW / "a").write_text("a")
    with pytest.raises(
        DataError, match="in no data version, and this branch names none; move it away .*: kshot data add"
    ):
        working_copy.refuse_unsaved(root)
    working_copy.dvc(root, "add", str(layout.RAW))
    working_copy.refuse_unsaved(root)
    (root / layout.RAW / "b").write_text("b")
    found = working_copy.tracked(root)
    assert found is not None
    with pytest.raises(DataError, match=f"or another branch's data; .*kshot data restore {found.md5[:8]}") as caught:
        working_copy.refuse_unsaved(root)
    assert "dvc add" not in str(caught.value)  # it would make another branch's data this one's


def test_an_error_of_dvc_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc status failed: .*not inside of a DVC repository.*; mend that") as caught:
        working_copy.dvc(tmp_path, "status")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("echo data > .gitignore", "bad DVC file name 'data/raw.dvc' is git-ignored; mend that"),
        ("touch .dvc/cache", "Not a directory: '.*'; mend that"),
        (
            "git add -f data/raw/image",
            "already tracked by SCM .* git rm -r --cached 'data/raw' git commit .*; mend that",
        ),
        (
            "rm data/raw/image && ln -s nowhere data/raw/image",
            "No such file or directory: '.*/data/raw/image'; mend that",
        ),
    ],
)
def test_a_version_that_dvc_does_not_take_is_told_with_the_reason(tmp_path: Path, cause: str, told: str) -> None:
    root = make(tmp_path)
    (root / layout.RAW).mkdir(parents=True)
    (root / layout.RAW / "image").write_text("new")
    subprocess.run(cause, shell=True, cwd=root, check=True)
    with pytest.raises(DataError, match=f"dvc add failed: .*{told}") as caught:
        working_copy.dvc(root, "add", str(layout.RAW))
    assert "\n" not in str(caught.value) and "https" not in str(caught.value)


def test_images_that_dvc_could_not_store_are_an_error_although_dvc_ends_with_0(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / layout.RAW).mkdir(parents=True)
    for image in ("one", "two"):
        (root / layout.RAW / image).write_text(image)
    place = root / ".dvc/cache/files/md5" / hashlib.md5(b"one").hexdigest()[:2]
    place.parent.mkdir(parents=True)
    place.symlink_to("nowhere")  # DVC can make no file in it, as on a full disk
    with pytest.raises(DataError, match="^dvc add failed: failed to transfer '[0-9a-f]{32}' - [^\\n]*; mend that"):
        working_copy.dvc(root, "add", "--no-relink", str(layout.RAW))


def test_no_command_asks_dvc_to_hide_its_reason() -> None:
    calls = [line for file in SOURCE.rglob("*.py") for line in file.read_text().splitlines() if "dvc(root, " in line]
    assert calls and not [line for line in calls if "--quiet" in line]


def test_a_folder_without_git_is_told_with_what_to_do(tmp_path: Path) -> None:
    root = make(tmp_path)
    shutil.rmtree(root / ".git")
    (root / "data").mkdir()
    for arguments in (("add", "data"), ("status", "--json")):
        with pytest.raises(KshotError, match="is in no git repository; run `git init` here and commit"):
            working_copy.dvc(root, *arguments)


def test_another_dvc_command_with_the_same_files_is_named(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / layout.RAW).mkdir(parents=True)
    (root / layout.RAW / "image").write_text("new")
    (root / layout.RAW_DVC).write_text(POINTER)
    (root / ".dvc/tmp").mkdir()
    blocker = {str(root / layout.RAW): {"pid": os.getpid(), "cmd": "dvc add"}}
    (root / ".dvc/tmp/rwlock").write_text(json.dumps({"write": blocker, "read": {}}))
    with pytest.raises(Busy, match=rf"process {os.getpid()}\) works with data/raw; run the same command again"):
        working_copy.dvc(root, "status", "--json", str(layout.RAW_DVC))
