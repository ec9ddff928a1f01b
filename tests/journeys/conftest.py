"""Shared by several journeys: an environment with kshot from a wheel, created once for all processes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys import bytecode
from tests.journeys.person import clone
from tests.made_once import beside_packages, made_once


@pytest.fixture(scope="session")
def wheel_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the packages of requirements.lock and a wheel of this repository."""

    def make(folder: Path) -> None:
        environment = beside_packages(tmp_path_factory, "wheel") / "environment"
        (folder / "environment").symlink_to(environment)
        _wheel_environment(folder, environment)

    return (made_once(tmp_path_factory, "wheel", make) / "environment").resolve() / "bin"


def _wheel_environment(folder: Path, new: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    source = clone(folder / "source")  # what git holds, and nothing that an earlier build left
    # Compiled, as pip does for a person: dozens of commands import these packages.
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", new]
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=source, check=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, new], check=True)
    bytecode.lend(new)
    locked = ["--require-hashes", "--requirements", "requirements.lock"]
    subprocess.run([*install, *locked], cwd=source, check=True)
    subprocess.run([*install, "--no-deps", *folder.glob("*.whl")], check=True)
    shutil.rmtree(source)
