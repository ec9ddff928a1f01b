"""The project `shop` of a new user: `kshot init` and a first retraining, with kshot from a wheel. Made once and copied.

`train.steps` alone is smaller than shipped.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step
from tests.lifecycle import audited_project
from tests.made_once import made_once

MAKING = (
    Step("kshot models", codes=(1,), shows=("make one: kshot init NAME",)),
    Step("kshot init shop", shows=("project shop is in", "cd shop")),
    Step("cd shop && kshot plan", shows=("first run",)),
    Step(
        "cd shop && kshot retrain --set train.steps=60",
        shows=(r"5w1s \d", r"20w5s \d", "model shop version 1", "champion yes: "),
    ),
)
READ_ONLY = (".dvc/cache/", "data/raw/")  # thousands of files, which are replaced and never written to


def copy(factory: pytest.TempPathFactory, programs: Path, folder: Path) -> Path:
    """A copy of the project in `folder`, its records at their new place. Version 1 is champion."""
    made = made_once(factory, "shop", lambda home: _make(home, programs))

    def link_or_copy(source: str, place: str) -> None:
        is_linked = Path(source).relative_to(made / "shop").as_posix().startswith(READ_ONLY)
        (os.link if is_linked else shutil.copy2)(source, place)

    shutil.copytree(made / "shop", folder / "shop", symlinks=True, copy_function=link_or_copy)
    audited_project.settle(folder / "shop", made / "shop")
    return folder / "shop"


def _make(home: Path, programs: Path) -> None:
    journey = Journey(Person(home, programs))
    for step in MAKING:
        journey.walk(step)
