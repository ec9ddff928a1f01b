"""A new user's first path: a clone, `make retrain`, and the verbs on its result, with the shipped settings.

`train.steps` alone is smaller: 150 instead of 600, and both versions still reach `gate.min_accuracy` as it is shipped.
"""

import pytest

from tests.journeys import docs_steps
from tests.journeys.person import Person, clone
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

STEPS = (
    Step(
        'make retrain ARGS="--set train.steps=150"',
        page="README.md",
        printed="make retrain",
        shows=(r"5w1s \d", r"20w5s \d", "champion yes: ", "model kshot version 1"),
        needed=True,
    ),
    Step("kshot audit --model 1 --deep", page="docs/audit.md", shows=("version 1: all .* hold",)),
    Step("kshot retrain", shows=("version 1",), hides=("version 2",)),
    Step("kshot retrain --set train.seed=1", shows=("model kshot version 2",), needed=True),
    Step("kshot models", shows=(r"1 champion|2 champion",)),
    Step("kshot compare 1 2", shows=(r"5w1s \d\d\.\d+ %",)),
    Step("kshot promote 1 --reason 'the one that we know'", shows=("version 1 is champion now|already",)),
    Step("kshot promote 2 --reason 'the other seed'", shows=("version 2 is champion now",)),
    Step("kshot rollback --reason 'false accepts'", shows=("version 1 is champion now instead of version 2",)),
    Step("kshot history", shows=("rolled back to version 1", "as they were written")),
    *docs_steps.AUDITING,
    Step("kshot reproduce champion", page="docs/audit.md", shows=("version 1 is reproduced: identical, bit for bit",)),
    Step("kshot ui", until="Ctrl-C ends", shows=("MLflow", "Prefect")),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    root = clone(tmp_path_factory.mktemp("default") / "kshot")
    return Journey(Person(root, root / ".venv/bin", {"CLASS": "Greek/small_omega"}))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)
