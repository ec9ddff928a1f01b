"""A project made by `kshot init`, with kshot from a wheel in a new environment, without a clone; and a second one.

Both keep their records in one store of MLflow's. `train.steps` alone is smaller than shipped.
"""

from pathlib import Path

import pytest

from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

OWN_STEP = r"""sed -i 's/^\( *\)steps.ready_data(run)$/\1steps.say("our own step")\n&/' shop/flows/retrain.py"""
STEPS = (
    Step("kshot models", codes=(1,), shows=("make one: kshot init NAME",)),
    Step("kshot init shop", shows=("project shop is in", "cd shop"), needed=True),
    Step("cd shop && kshot plan", shows=("first run",)),
    Step(
        "cd shop && kshot retrain --set train.steps=60",
        shows=(r"5w1s \d", r"20w5s \d", "model shop version 1", "champion yes: "),
        needed=True,
    ),
    Step("cd shop && kshot audit --model 1 --deep", shows=("version 1: all .* hold",)),
    Step("cd shop && kshot reproduce 1", shows=("version 1 is reproduced: identical, bit for bit",)),
    Step(f"{OWN_STEP} && cd shop && git commit -qam 'a step' && kshot retrain", shows=("our own step", "version 1")),
    Step("kshot init letters", needed=True),
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
    folder = tmp_path_factory.mktemp("projects") / "home"
    (folder / "store").mkdir(parents=True)
    return Journey(Person(folder, wheel_programs, {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/store/mlflow.db"}))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)


def test_nothing_but_kshot_is_installed_at_the_top_level(wheel_programs: Path) -> None:
    (record,) = (wheel_programs.parent / "lib").glob("python*/site-packages/kshot-*.dist-info/RECORD")
    tops = {line.split("/")[0] for line in record.read_text().splitlines()}
    assert {one for one in tops if not one.endswith(".dist-info")} - {".."} == {"kshot"}
