"""The training log: text on a training's start, rest and end."""

from dataclasses import asdict

import pytest

from kshot.lifecycle.tracking import training_log
from kshot.training import records


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (600, "600 steps in 118 s, 4.2 GB; kept step 500, the best on validation"),
        (1, "1 step in 118 s, 4.2 GB; kept step 500, the best on validation"),
    ],
)
def test_the_end_of_a_training_is_one_sentence(steps, text):
    reason = "kept step 500, the best on validation"
    assert training_log.finished({"step": steps, "seconds": 118.2, "peak_memory_mb": 4209, "reason": reason}) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, ""),
        (0.2, "about 10 s of training left, less if validation ends it early"),
        (1.3, "about 80 s of training left, less if validation ends it early"),
        (2.0, "about 2 min of training left, less if validation ends it early"),
    ],
)
def test_the_first_steps_tell_how_long_a_training_takes(seconds, text):
    assert training_log.outlook((10, 5.0), (20, 5.0 + seconds), 600) == text


def test_the_time_left_is_told_once_also_after_a_resumption(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training_log, "WORTH_A_LINE_S", 0.0)
    monkeypatch.setattr(training_log, "TIMED_S", 1e-9)
    steps = [records.Step(number, 1.0, None, 0.1, 100.0) for number in range(10, 60, 10)]
    training_log.write_log(tmp_path / "log.jsonl", [asdict(steps[0]), *steps[1:]], 600, "images")
    assert capsys.readouterr().out == "about 0 s of training left, less if validation ends it early\n"


def test_the_progress_of_a_training_fits_into_80_columns(tmp_path, capsys):
    steps = [records.Step(number, 12.3456, 0.123, 0.1, 123456.7) for number in range(1000, 11000, 1000)]
    training_log.write_log(tmp_path / "log.jsonl", steps, 10000, "features")
    rows = [row.strip() for row in capsys.readouterr().err.split("\r") if row.strip()]
    assert rows and "loss 12.346, 123,457 features/s, 12% active" in rows[-1]
    assert max(len(row.removeprefix("train: ")) for row in rows) <= 70, "`kshot retrain` puts 10 before it"
