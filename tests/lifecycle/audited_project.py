"""A real project with a registered champion: images, git, DVC, a training, MLflow. Trained once and copied."""

import contextlib
import dataclasses
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from kshot.lifecycle.doctor import moved
from kshot.lifecycle.project import layout, state_place
from tests.flows import project
from tests.lifecycle.put_back import put_back
from tests.made_once import made_once

DATABASE = Path("mlruns/mlflow.db")
RETRAINED = "retrained.json"  # beside the project
KEPT = (Path("mlruns/artifacts"), Path(".dvc/cache"))


def copy(factory: pytest.TempPathFactory, folder: Path, *, private: bool = False) -> Path:
    """A copy in `folder` of the tiny project after one retraining, its records at their new place.

    Version 1 is champion. The images that were added lie beside it, in `images`. `private`: with Prefect's records,
    which a copy of a project does not share otherwise.
    """
    made = made_once(factory, "audited-project", _make)
    left_out = () if private else (layout.STATE.name,)
    shutil.copytree(made, folder, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*left_out))
    settle(folder / "project", made / "project")
    return folder / "project"


def settle(root: Path, original: Path) -> None:
    """Make a copied project one of its own: its records name files at its place, and its state is no other's."""
    (root / state_place.FILE).unlink(missing_ok=True)
    anchored_there = _refs(root)
    moved.rewrite(root, (original / DATABASE.parent / "artifacts").resolve())
    for name in anchored_there:  # `rewrite` has copied them to the names of this place
        subprocess.run(["git", "update-ref", "-d", name], cwd=root, check=True)
    for backup in (root / DATABASE.parent).glob(f"{moved.BACKUP}*"):
        backup.unlink()
    # Git compares inodes before content.
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=root, check=False)


def retrained(root: Path) -> project.Ended:
    """How the retraining of a copy ended."""
    return project.Ended(**json.loads((root.parent / RETRAINED).read_text()))


def _make(folder: Path) -> None:
    root = project.make_project(folder / "project")
    added = project.kshot(root, "data", "add", str(project.draw_classes(folder / "images")), "--note", "tiny")
    assert added.code == 0, added.err
    ended = project.kshot(root, "retrain", "--params", "overlay.yaml", *project.SETTINGS)
    assert ended.code == 0, ended.out + ended.err
    (folder / RETRAINED).write_text(json.dumps(dataclasses.asdict(ended)))


def copies(root: Path) -> Path:
    """Where the copies of a project are, which all its tests share."""
    return root.with_name(f"{root.name}-as-it-was")


@contextmanager
def undone(root: Path, scratch: Path) -> Iterator[None]:
    """Put store, artifacts, cache and the history's anchor back after the block."""
    # MLflow remembers where a run's artifacts are by the run's id, which all copies have (read in MLflow 3.17).
    utils._artifact_repos_cache.clear()
    anchored = _refs(root)
    scratch.mkdir(exist_ok=True)
    shutil.copy(root / DATABASE, scratch / "before.db")
    try:
        with contextlib.ExitStack() as stack:
            for place in KEPT:
                stack.enter_context(put_back(root / place, copies(root) / place))
            yield
    finally:
        # Into the file that MLflow holds open, not instead of it.
        with (
            closing(sqlite3.connect(scratch / "before.db")) as before,
            closing(sqlite3.connect(root / DATABASE)) as now,
        ):
            before.backup(now)
        for name in _refs(root).keys() - anchored.keys():
            subprocess.run(["git", "update-ref", "-d", name], cwd=root, check=True)
        for name, commit in anchored.items():
            subprocess.run(["git", "update-ref", name, commit], cwd=root, check=True)


def _refs(root: Path) -> dict[str, str]:
    command = ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/kshot"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    refs = (line.partition(" ") for line in listed.splitlines())
    return {name: commit for name, _, commit in refs}


def execute(root: Path, statement: str, *values: object) -> None:
    """Change MLflow's database by hand; at least one row must change."""
    with closing(sqlite3.connect(root / DATABASE)) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


def flip(path: Path, place: int = -1) -> None:
    """Flip one bit of one byte of a file, its size as it was."""
    path.chmod(0o644)  # DVC's cache is read-only
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
