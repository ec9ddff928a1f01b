"""Shared by several journeys: an environment with kshot from a wheel, created once a process."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.person import clone


@pytest.fixture(scope="session")
def wheel_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_environment(tmp_path_factory.mktemp("wheel"))


def wheel_environment(folder: Path) -> Path:
    """The programs of a new environment with the packages of requirements.lock and a wheel of this repository."""
    uv, new = Path(sys.executable).with_name("uv"), folder / "environment"
    source = clone(folder / "source")  # what git holds, and nothing that an earlier build left
    install = [uv, "pip", "install", "--quiet", "--python", new]
    for command in (
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        [uv, "venv", "--quiet", "--python", sys.executable, new],
        [*install, "--require-hashes", "--requirements", "requirements.lock"],
    ):
        subprocess.run(command, cwd=source, check=True)
    subprocess.run([*install, "--no-deps", *folder.glob("*.whl")], check=True)
    shutil.rmtree(source)
    return new / "bin"
