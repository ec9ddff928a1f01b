"""A small trained project, once a session, and the letters that its galleries are taught."""

from pathlib import Path

import pytest

from kshot.glyphs.draw import draw
from tests.serve import served_project


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """38 letters, two a script, each by six drawers: letters/SCRIPT/LETTER/NN.png."""
    folder = tmp_path_factory.mktemp("letters")
    draw(folder, drawers=6, letters_a_script=2)
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, letters: Path) -> Path:
    """A project with two registered versions; tests copy it."""
    return served_project.make(tmp_path_factory.mktemp("served") / "project", letters)


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
