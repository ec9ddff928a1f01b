"""Several processes train the same model as one: every own loss with every mining, every method that can be shared."""

import json

import pytest

from kshot.parallel.launch import run_in_processes
from tests.parallel import mistakes, trainings

TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
FAR = 1e-3  # as a share of the largest gradient: no rounding
ALL = list(trainings.CASES)
OURS = [name for name in ALL if not name.startswith("peer")]
GROUPS = [
    pytest.param((2, OURS, ["float64"], 6), id="2 processes"),
    # A minute each, with a second look at the validation episodes: starting a process takes seconds, and so do the
    # peers. Every case has both numbers of processes and both precisions, not each with each.
    pytest.param((2, ALL, ["float32"], trainings.STEPS), id="2 processes, all", marks=pytest.mark.services),
    pytest.param((3, ALL, ["float64"], trainings.STEPS), id="3 processes, all", marks=pytest.mark.services),
]


def both(world, names, dtypes, steps, out):
    trainings.STEPS = steps
    mistakes.compare(world, f"{out}.mistakes")
    trainings.compare(world, names, dtypes, f"{out}.trainings")


@pytest.fixture(scope="module", params=GROUPS)
def measured(request, tmp_path_factory):
    """All trainings in one group of processes: starting a process costs more than a training."""
    size, names, dtypes, steps = request.param
    out = tmp_path_factory.mktemp("equality") / "found"
    run_in_processes(both, (names, dtypes, steps, str(out)), size, "gloo")
    found = {kind: json.loads(out.with_suffix(f".{kind}").read_text()) for kind in ("trainings", "mistakes")}
    return size, names, dtypes, found


def test_several_processes_train_the_weights_of_one(measured):
    _, names, dtypes, found = measured
    assert len(found["trainings"]) == len(names) * len(dtypes)
    for name, apart in found["trainings"].items():
        tolerance = TOLERANCE[name.rpartition(", ")[2]]
        assert apart["weights"] <= tolerance, name
        assert apart["results"] <= tolerance, name  # losses and validation accuracies of the log
        assert apart["moved"] > 1e-3, name  # AdamW's steps: a training that did not happen would be equal, too


def test_the_gradient_is_that_of_one_process_though_the_rows_do_not_divide(measured):
    size, *_, found = measured
    assert mistakes.ROWS % size
    assert found["mistakes"]["ours"] < 1e-12


@pytest.mark.parametrize("mistake", [way.__name__ for way in mistakes.MISTAKES])
def test_the_mistakes_of_others_give_another_gradient(measured, mistake):
    assert measured[-1]["mistakes"][mistake] > FAR


def test_a_parameter_behind_the_gathering_would_count_once_for_each_process(measured):
    size, *_, found = measured
    assert found["mistakes"]["times_counted"] == pytest.approx(size)
