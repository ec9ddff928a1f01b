"""A project made by `kshot init`, with kshot from a wheel in a new environment, without a clone; and a second one.

The second keeps its records in the first one's store. `train.steps` alone is smaller than shipped.
"""

from pathlib import Path

import pytest

from tests.journeys import shop
from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

OWN_STEP = r"""sed -i 's/^\( *\)steps.ready_data(run)$/\1steps.say("our own step")\n&/' shop/flows/retrain.py"""
# 202 of the built-in letters' 598 classes: enough for 20-way episodes of each split, and quicker.
SOME = "{Armenian,Canadian_Syllabics,Cyrillic,Fraktur,Greek,Latin,Script}"
STEPS = (
    Step("cd shop && kshot audit --model 1 --deep", shows=("version 1: all .* hold",)),
    Step(
        "cd shop && kshot reproduce champion",
        page="docs/audit.md",
        printed="kshot reproduce champion",
        shows=("version 1 is reproduced: identical, bit for bit",),
    ),
    Step(f"{OWN_STEP} && cd shop && git commit -qam 'a step' && kshot retrain", shows=("our own step", "version 1")),
    Step("kshot init letters", needed=True),
    Step(f"mkdir some && cp -r shop/data/raw/images/{SOME} some && cd letters && kshot data add ../some", needed=True),
    Step(
        "cd letters && kshot retrain --set train.steps=60 --set train.seed=1",
        shows=("model letters version 1", "no champion yet to compare with"),
        needed=True,
    ),
    Step("cd letters && kshot audit --model 1 --deep", shows=("version 1: all .* hold",)),
    Step("cd shop && kshot audit --model 1 --deep", shows=("version 1: all .* hold",)),
    Step("cd letters && kshot models", shows=("1 champion",), hides=("shop",)),
    Step("cd shop && kshot models", shows=("1 champion",), hides=("letters",)),
    Step("cd shop && kshot history", shows=("the one event is as it was written",), hides=("letters",)),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> Journey:
    home = tmp_path_factory.mktemp("projects") / "home"
    root = shop.copy(tmp_path_factory, wheel_programs, home)
    return Journey(Person(home, wheel_programs, {"MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlruns/mlflow.db"}))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)


def test_nothing_but_kshot_is_installed_at_the_top_level(wheel_programs: Path) -> None:
    (record,) = (wheel_programs.parent / "lib").glob("python*/site-packages/kshot-*.dist-info/RECORD")
    tops = {line.split("/")[0] for line in record.read_text().splitlines()}
    assert {one for one in tops if not one.endswith(".dist-info")} - {".."} == {"kshot"}
