"""A folder of photographs, as in README.md, in its own project, with kshot from a wheel in a new environment.

`train.steps` alone is smaller than in docs/photographs.yaml. What was trained is asked by README.md's own Python.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.journeys import docs_steps
from tests.journeys.person import Person, clone
from tests.journeys.photographs import photographs
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

README = "README.md"
OWN = (
    Step('kshot data add birds --note "first season"', page=README, shows=("480 images.* 30 classes",), needed=True),
    Step(
        "kshot retrain --params docs/photographs.yaml --set train.steps=10",
        page=README,
        printed="kshot retrain --params docs/photographs.yaml",
        shows=(r"5w5s \d", "champion yes: ", "model kshot version 1"),
        needed=True,
    ),
    Step("kshot audit --model champion --deep", shows=("version 1: all .* hold",)),
)
# What the pages in docs print is typed in the same project.
STEPS = (
    *OWN,
    *docs_steps.VERSIONS,
    *docs_steps.LOOKING,
    *docs_steps.DECIDING,
    *docs_steps.TRAINING,
    *docs_steps.SCHEDULING,
    *(docs_steps.PRETRAINED if docs_steps.WEIGHTS.exists() else ()),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> Journey:
    folder = tmp_path_factory.mktemp("own")
    root = clone(folder / "project")
    photographs(root / "birds")
    others = photographs(folder / "others", classes=slice(30, 50))
    camera = folder / "camera"
    camera.mkdir()
    for number, image in enumerate(sorted(others.rglob("*.jpg"))[:40]):
        shutil.copy(image, camera / f"{number}.jpg")
    return Journey(Person(root, wheel_programs))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)


def test_the_champion_predicts_by_the_python_of_the_readme(journey: Journey) -> None:
    known = sorted((journey.person.root / "birds").iterdir())
    other = min((journey.person.root.parent / "others").iterdir())
    for name, of_class in (("a1.png", known[0]), ("b1.png", known[1]), ("unknown.png", other)):
        shutil.copy(min(of_class.iterdir()), journey.person.root / name)
    ended = journey.runs_python(README)
    (prediction,) = json.loads(ended.output.splitlines()[-1])
    assert prediction["label"] in ("a", "b") and prediction["distance"] > 0


def test_the_python_of_the_promotion_page_finds_a_history_that_holds(journey: Journey) -> None:
    assert json.loads(journey.runs_python("docs/promotion.md").output.splitlines()[-1]) == []
