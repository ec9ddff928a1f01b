"""The table and the page of a sweep."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from kshot.lifecycle.pages.render import NONE
from kshot.lifecycle.sweep.sweep import Failed
from kshot.lifecycle.sweep.sweep_page import write_sweep_page
from kshot.lifecycle.sweep.sweep_text import table, text
from tests.lifecycle.page_loads import loads
from tests.lifecycle.sweep.finished_trials import result, sweep, trial

HIGH = np.tile([0.9, 0.8, 1.0, 0.7], 50)
ONE, TWO = trial(1, "train.seed=1"), trial(2, "train.loss.name=n_pair")
FOUND = sweep((ONE, result(HIGH)), (TWO, result(HIGH - 0.2)), failed=[Failed(trial(3), "the disk is full")])


def test_the_table_has_a_row_a_trial_and_a_column_a_setting() -> None:
    assert table(FOUND)[0] == {
        "trial": "1",
        "seed": "1",
        "loss.name": NONE,
        "accuracy": "85.00 %",
        "vs best, pp": NONE,
        "verdict": "best",
        "training": "1 min 1 s",
    }
    second = table(FOUND)[1]
    assert (second["loss.name"], second["verdict"]) == ("n_pair", "worse")
    assert re.fullmatch(r"-20\.00 \[-\d\d\.\d\d, -\d\d\.\d\d\]", second["vs best, pp"])


def test_the_text_says_what_was_measured_and_what_failed() -> None:
    said = " ".join(text(FOUND).split())
    assert "Accuracy on the 200 validation episodes of 5w1s, by prototype" in said
    assert "Trial 1 is the best." in said
    assert "1 trial failed; the same command tries again: trial 3 (params.yaml as it is): the disk is full" in said


def test_trials_with_classifiers_of_their_own_are_not_said_to_use_that_of_the_best() -> None:
    other = replace(result(HIGH - 0.2), by="simple_shot")
    assert "5w1s, by each trial's own classifier;" in " ".join(text(sweep((ONE, result(HIGH)), (TWO, other))).split())


def test_trials_without_a_difference_are_named() -> None:
    said = text(sweep((ONE, result(HIGH)), (TWO, result(HIGH))))
    assert "Trial 1 is the best, with no difference shown from 2." in " ".join(said.split())


def test_without_a_finished_trial_the_failures_are_said() -> None:
    assert "the disk is full" in text(sweep(failed=[Failed(ONE, "the disk is full")]))


def test_the_page_has_all_of_it_and_loads_nothing(tmp_path: Path) -> None:
    page = write_sweep_page(FOUND, tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert loads(page) == []
    for part in ("85.00 %", "kshot retrain --set train.seed=1", "worse", "the disk is full", "c" * 40, "d" * 32):
        assert part in page
    assert "<b>.yaml" not in page  # a name is text, not HTML
    empty = write_sweep_page(sweep(failed=[Failed(ONE, "x")]), tmp_path / "none.html").read_text(encoding="utf-8")
    assert "No trial has finished" in empty
