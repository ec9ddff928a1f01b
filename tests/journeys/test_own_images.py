"""A folder of photographs, as README.md says, in a project of its own, by kshot from a wheel in a new environment.

`train.steps` alone is smaller than in docs/photographs.yaml. What was trained is asked by README.md's own Python.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.blocks import REPOSITORY, blocks
from tests.journeys.person import Person, clone
from tests.journeys.photographs import photographs
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

README = "README.md"
STEPS = (
    Step('kshot data add birds --note "first season"', page=README, shows=("420 images.* 30 classes",), needed=True),
    Step(
        "kshot retrain --params docs/photographs.yaml --set train.steps=60",
        page=README,
        printed="kshot retrain --params docs/photographs.yaml",
        shows=(r"5w5s \d", "champion yes: ", "model kshot version 1"),
        needed=True,
    ),
    Step("kshot audit --model champion --deep", shows=("version 1: all .* hold",)),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("own")
    root = clone(folder / "project")
    photographs(root / "birds")
    return Journey(Person(root, wheel_environment(folder)))


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


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)


def test_the_champion_predicts_by_the_python_of_the_readme(journey: Journey) -> None:
    (snippet,) = (block for block in blocks(REPOSITORY / README) if block.is_python)
    known = sorted((journey.person.root / "birds").iterdir())
    others = sorted(photographs(journey.person.root.parent / "others", classes=slice(30, 32)).iterdir())
    for name, image in (("a1.png", known[0]), ("b1.png", known[1]), ("unknown.png", others[0])):
        shutil.copy(sorted(image.iterdir())[0], journey.person.root / name)
    ended = journey.person.runs_python(snippet.lines)
    assert ended.code == 0, ended.output
    (answer,) = json.loads(ended.output.splitlines()[-1])
    assert answer["label"] in ("a", "b") and answer["distance"] > 0
