"""How long stages took: the last ones count, a training by its steps, a torn line does not."""

from pathlib import Path

import pytest

from kshot.lifecycle import durations


@pytest.fixture
def root(tmp_path: Path) -> Path:
    set_steps(tmp_path, 100)
    return tmp_path


def set_steps(root: Path, steps: int) -> None:
    (root / "params.yaml").write_text(f"train: {{steps: {steps}}}\n")


def test_a_stage_that_never_ran_has_no_expectation(root: Path) -> None:
    assert durations.expected(root, "ingest") is None
    durations.note(root, "split", 1.0)
    assert durations.expected(root, "ingest") is None


def test_the_median_of_the_last_five_counts(root: Path) -> None:
    for seconds in (900.0, 900.0, 900.0, 1.0, 2.0, 3.0, 4.0, 100.0):
        durations.note(root, "ingest", seconds)
    assert durations.expected(root, "ingest") == 3.0


def test_a_training_is_expected_by_its_steps(root: Path) -> None:
    durations.note(root, "train", 50.0)
    set_steps(root, 1000)
    assert durations.expected(root, "train") == 500.0
    durations.note(root, "evaluate", 50.0)
    set_steps(root, 2000)
    assert durations.expected(root, "evaluate") == 50.0


def test_a_line_that_was_torn_by_a_power_failure_is_passed_over(root: Path) -> None:
    durations.note(root, "ingest", 7.0)
    with (root / durations.FILE).open("a") as file:
        file.write('{"stage": "ing')
    assert durations.expected(root, "ingest") == 7.0
