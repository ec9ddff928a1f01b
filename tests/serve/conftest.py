"""A small trained project, once a session, and the letters that its galleries are taught."""

import shutil
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service import utils

from kshot.lifecycle.doctor import moved
from kshot.lifecycle.tracking import store
from tests.letters import few_letters
from tests.made_once import made_once
from tests.serve import served_project


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_letters(tmp_path_factory)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, letters: Path) -> Path:
    """A project with two registered versions; tests copy it.

    It is trained once for all processes; each has a copy, as a test damages a registered model.
    """
    made = made_once(tmp_path_factory, "served", lambda folder: served_project.make(folder / "project", letters))
    root = shutil.copytree(made / "project", tmp_path_factory.mktemp("served") / "project")
    moved.rewrite(root, (made / "project" / store.ARTIFACTS).resolve())
    utils._artifact_repos_cache.clear()  # MLflow remembers where a run's artifacts are by the run's id (MLflow 3.17)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """The project of `template`, for one test; version 1 is champion."""
    return served_project.copy(template, tmp_path / "project")


@pytest.fixture(scope="session")
def classes(letters: Path) -> dict[str, list[bytes]]:
    """Six images of each letter, by its name SCRIPT/LETTER."""
    folders = sorted(letters.glob("*/*"))
    return {
        folder.relative_to(letters).as_posix(): [path.read_bytes() for path in sorted(folder.iterdir())]
        for folder in folders
    }
