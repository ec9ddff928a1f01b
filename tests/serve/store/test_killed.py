"""The store of a process that was killed at each step of a change: nothing acknowledged is lost, nothing half-made."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kshot.serve.store import examples, galleries
from kshot.serve.store.gallery_store import open_store, scratch, sweep
from kshot.serve.store.image_files import sha256_of

# Ends the process, as kill -9 does, right before or after the first call of a function of the store in this change.
CHANGE = """
import os, signal, sys
from pathlib import Path
from kshot.serve.store import classes, examples, galleries, gallery_store
from kshot.serve.store.examples import NewImage
from kshot.serve.store.image_files import FolderImages, sha256_of

root, change, place, when = sys.argv[1:]
store = gallery_store.open_store(Path(root))
owner, name = {
    "put": (FolderImages, "put"), "insert": (examples, "_insert_image"), "raise": (examples, "raise_revision"),
    "files": (examples, "drop_unused_files"), "rows": (examples, "drop_unused_rows"),
    "unlink": (FolderImages, "delete"),
}[place]
real = getattr(owner, name)

def killed(*arguments):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)
if change in ("teach", "import"):
    fruit = {"teach": [("b", b"pear")], "import": [("b", b"pear"), ("c", b"plum"), ("c", b"apple")]}[change]
    examples.teach(store, "shop", [NewImage(to, one, sha256_of(one), 1, 1, "image/png") for to, one in fruit])
else:
    examples.delete_example(store, "shop", 1)
"""


def changed(root: Path, change: str, place: str, when: str) -> None:
    command = [sys.executable, "-c", CHANGE, str(root), change, place, when]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def state(root: Path) -> tuple[int, list[str], list[str]]:
    """The revision, the classes and the image files after a start of the service."""
    store = open_store(root)
    sweep(store)
    with store.database.reading() as connection:
        found = galleries.find(connection, "shop")
        names = [name for name, _ in galleries.class_counts(connection, found.id)]
    left = sorted(store.images.all())
    store.close()
    return found.revision, names, left


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = open_store(tmp_path)
    galleries.create(store, "shop")
    examples.teach(store, "shop", [examples.NewImage("a", b"apple", sha256_of(b"apple"), 1, 1, "image/png")])
    store.close()
    return tmp_path


@pytest.mark.parametrize(
    ("place", "when"),
    [("put", "before"), ("put", "after"), ("insert", "before"), ("insert", "after"), ("raise", "after")],
)
def test_a_teach_that_was_killed_before_its_commit_leaves_nothing(root: Path, place: str, when: str) -> None:
    changed(root, "teach", place, when)
    assert state(root) == (2, ["a"], [sha256_of(b"apple")])


@pytest.mark.parametrize(("place", "when"), [("put", "after"), ("insert", "after"), ("raise", "after")])
def test_an_import_that_was_killed_between_its_images_leaves_none_of_them(root: Path, place: str, when: str) -> None:
    changed(root, "import", place, when)
    assert state(root) == (2, ["a"], [sha256_of(b"apple")])


@pytest.mark.parametrize(("place", "when"), [("rows", "before"), ("rows", "after"), ("raise", "after")])
def test_a_deletion_that_was_killed_before_its_commit_changed_nothing(root: Path, place: str, when: str) -> None:
    changed(root, "delete", place, when)
    assert state(root) == (2, ["a"], [sha256_of(b"apple")])


@pytest.mark.parametrize(("place", "when"), [("files", "before"), ("unlink", "before"), ("unlink", "after")])
def test_a_deletion_that_was_killed_after_its_commit_is_finished_at_the_next_start(
    root: Path, place: str, when: str
) -> None:
    changed(root, "delete", place, when)
    assert state(root) == (3, [], [])


def test_the_scratch_folder_of_a_killed_process_is_deleted_at_the_next_start(root: Path) -> None:
    store = open_store(root)
    own = scratch(store)
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = own.with_name(f".scratch-{ended.stdout.strip()}-x")
    (dead / "unpacked").mkdir(parents=True)
    sweep(store)
    assert own.exists() and not dead.exists()
    store.close()
