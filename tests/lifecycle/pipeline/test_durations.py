"""Durations of stages: the last ones count, a training by its steps, an incomplete line does not."""

from pathlib import Path

import pytest

from kshot.lifecycle.pipeline import durations
from kshot.lifecycle.pipeline.graph import StageRun


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
    durations.note(root, "split", 2.0)
    assert durations.expected(root, "split") == 2.0 and durations.expected(root, "ingest") == 7.0


def write_lock(root: Path, md5: str) -> None:
    (root / "dvc.lock").write_text(f"stages: {{embed: {{cmd: x, outs: [{{path: y, md5: {md5}}}]}}}}\n")


def test_a_stage_that_did_not_run_knows_what_its_own_results_took(root: Path) -> None:
    write_lock(root, "a1")
    durations.note(root, "embed", 19.0)
    write_lock(root, "b2")
    durations.note(root, "embed", 3.0)
    write_lock(root, "a1")
    assert durations.of_stage(root, StageRun("embed", "restored", 0.5)) == ("embed", "restored", 0.5, 19.0)
    assert durations.of_stage(root, StageRun("embed", "ran", 21.0)).computed == 21.0


def test_results_of_elsewhere_and_lines_of_older_versions_say_nothing(root: Path) -> None:
    (root / ".kshot").mkdir()
    (root / durations.FILE).write_text('{"stage": "embed", "seconds": 7.0, "steps": 100}\n')
    for_unchanged = StageRun("embed", "unchanged", 0.1)
    assert durations.of_stage(root, for_unchanged).computed is None
    write_lock(root, "a1")
    assert durations.of_stage(root, for_unchanged).computed is None
    assert durations.expected(root, "embed") == 7.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (59.6, "1 min"), (125.2, "2 min 5 s"), (3780.0, "1 h 3 min")],
)
def test_seconds_are_readable(seconds: float, text: str) -> None:
    assert durations.readable(seconds) == text
