"""A real project with a registered champion: images, git, DVC, a training, MLflow. Made once; faults are undone."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.flows import project

DATABASE = Path("mlruns/mlflow.db")
KEPT = (Path("mlruns/artifacts"), Path(".dvc/cache"))


def make(root: Path, images: Path) -> Path:
    """One retraining of the tiny project; version 1 is champion."""
    project.make_project(root)
    added = project.kshot(root, "data", "add", str(project.draw_classes(images)))
    assert added.code == 0, added.err
    ended = project.kshot(root, "retrain", "--params", "overlay.yaml", *project.SETTINGS)
    assert ended.code == 0, ended.err
    return root


@contextmanager
def undone(root: Path, scratch: Path) -> Iterator[None]:
    """Put store, artifacts, cache and the history's anchor back after the block."""
    anchored = _refs(root)
    for place in KEPT:
        shutil.copytree(root / place, scratch / place)
    shutil.copy(root / DATABASE, scratch / "before.db")
    try:
        yield
    finally:
        for place in KEPT:
            shutil.rmtree(root / place)
            shutil.copytree(scratch / place, root / place)
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
