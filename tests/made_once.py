"""What is expensive to make is made once for all processes of a test session, and copied by whoever changes it."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` filled, made by the first process that asks; not to be changed.

    With pytest-xdist, the temporary folders of all workers lie in one folder, so that what is in it is shared.
    """
    shared = _shared(factory)
    place, done = shared / f"once-{name}", shared / f"once-{name}.done"
    with (shared / f"once-{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed when the file is closed, also by a process that is killed
        if not done.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            done.touch()
    return place


def beside_packages(factory: pytest.TempPathFactory, name: str, packages: Path = Path(sys.prefix)) -> Path:
    """A new folder on the disk of the installed packages, which an environment there links instead of copying.

    The files of a session lie in memory where it has room. What sessions left whose folder is gone is removed.
    """
    shared, place = _shared(factory), packages / "temporary"
    for note in place.glob("*/session"):
        if not Path(note.read_text()).exists():
            shutil.rmtree(note.parent, ignore_errors=True)
    session = place / hashlib.md5(str(shared).encode()).hexdigest()[:8]
    made = session / name
    shutil.rmtree(made, ignore_errors=True)  # of a half-made one, or of a session in the same folder
    made.mkdir(parents=True)
    (session / "session").write_text(str(shared))
    return made


def _shared(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
