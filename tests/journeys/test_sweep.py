"""A sweep on the built-in letters, as in docs/sweep.md: killed in the middle, continued, its choice retrained.

Then the verbs on the two versions that there are, and the notebook that reads a registry. kshot is from a wheel in a
new environment.

`train.steps` alone is smaller than as shipped: 10 instead of 600, set by the file of the sweep.
"""

from pathlib import Path

import pytest

from tests.journeys import docs_steps, shop, test_notebooks
from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

PAGE = "docs/sweep.md"
# Killed with SIGKILL once a trial has finished, while the next one is running.
KILLED = (
    "kshot sweep losses.yaml > killed.log & "
    "until grep -q '1 of 3' killed.log || ! kill -0 $!; do sleep 0.2; done; sleep 2; kill -9 $!; cat killed.log"
)
SWEEPING = (
    Step(
        KILLED,
        page=PAGE,
        printed="kshot sweep losses.yaml",
        shows=("3 trials; commit", "1 of 3 trial 1: "),
        hides=("2 of 3",),
        needed=True,
    ),
    Step(
        "kshot sweep losses.yaml --processes 2",
        page=PAGE,
        shows=(
            r"3 trials, [12] finished before",
            "3 of 3 ",
            r"best .*\[[-+]\d+\.\d\d, [-+]\d+\.\d\d\]",
            "Accuracy on the 1,000 validation episodes of 20w1s",
            "page reports/sweep.html next kshot retrain --set",
        ),
        hides=("1 of 3",),
        needed=True,
    ),
    Step("git worktree list", hides=("sweep-",)),
    Step("kshot models", shows=("1 champion",), hides=("challenger",)),
    Step(
        "kshot sweep losses.yaml --retrain",
        page=PAGE,
        shows=("3 trials, 3 finished before", "model shop version 2"),
        needed=True,
    ),
)
# What a person does with two versions, as shipped.
DECIDING = (
    Step("kshot models", shows=("1 champion", "2 challenger")),  # the champion had six times the steps
    Step("kshot compare 1 2", shows=(r"5w1s \d\d\.\d+ %",)),
    Step("kshot promote 2 --reason 'the other loss'", shows=("version 2 is champion now",)),
    Step("kshot rollback --reason 'false accepts'", shows=("version 1 is champion now instead of version 2",)),
    Step("kshot history", shows=("rolled back to version 1", "as they were written")),
    *docs_steps.AUDITING,
)
STEPS = (*SWEEPING, *DECIDING)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> Journey:
    root = shop.copy(tmp_path_factory, wheel_programs, tmp_path_factory.mktemp("sweep"))
    (root / "losses.yaml").write_text(
        "grid: {train.loss.name: [prototypical, n_pair], train.steps: [10]}\n"
        "trials: [{train.seed: 1, train.steps: 10}]\n"
    )
    return Journey(Person(root, wheel_programs, {"CLASS": "Greek/small_omega"}))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)


def test_the_notebook_reads_the_registry_of_the_project(journey: Journey) -> None:
    """Its retraining repeats the last one, and so trains nothing."""
    root = journey.person.root
    changes = {
        'Path(tempfile.mkdtemp()) / "shop"': f"Path({str(root)!r})",
        'kshot(f"init {root.name}", root.parent)\n': "",
        "for seed in (0, 1)": "for seed in (0,)",
        "retrain --set train.steps=60 --set train.seed={seed}": "retrain",
    }
    test_notebooks.run("reading-the-registry", changes, root.parent)
