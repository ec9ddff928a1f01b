"""A new user's first path in a clone: `make retrain` with the shipped settings, an audit, a repetition, the pages.

`train.steps` alone is smaller: 30 instead of 600, and the version still reaches `gate.min_accuracy` as it is shipped.
"""

import pytest

from tests.journeys import bytecode
from tests.journeys.person import Person, clone
from tests.journeys.steps import Journey, Step, parameters
from tests.made_once import beside_packages

pytestmark = pytest.mark.journeys

STEPS = (
    Step(
        'make retrain ARGS="--set train.steps=30"',
        page="README.md",
        printed="make retrain",
        shows=(r"5w1s \d", r"20w5s \d", "champion yes: ", "model kshot version 1"),
        needed=True,
    ),
    Step("kshot audit --model 1 --deep", page="docs/audit.md", shows=("version 1: all .* hold",)),
    Step("kshot retrain", shows=("version 1",), hides=("version 2",)),
    Step("kshot ui", until="Ctrl-C ends", shows=("MLflow", "Prefect")),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    root = clone(beside_packages(tmp_path_factory, "default") / "kshot")
    bytecode.lend(root / ".venv")  # `make` makes the environment there
    return Journey(Person(root, root / ".venv/bin"))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)
