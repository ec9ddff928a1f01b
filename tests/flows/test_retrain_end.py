"""Errors after a retraining's decision do not fail it: the flow with its tasks replaced, each failing in turn."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kshot.errors import RegistryError
from kshot.flows import retrain as flow
from kshot.flows import steps as tasks
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import project_lock
from kshot.lifecycle.retraining import steps, summary
from kshot.lifecycle.retraining.outcome import Outcome
from kshot.lifecycle.tracking import lineage, live_run


def outcome() -> Outcome:
    return Outcome("7", "run", origin=None, decision="promoted", reasons=(), repeated=False)  # type: ignore[arg-type]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A retraining without stages that promotes version 7; what it says is here."""

    @contextlib.contextmanager
    def nothing(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(trouble_at_end=None, code=None)

    said: list[str] = []
    monkeypatch.setattr(tasks, "say", said.append)
    monkeypatch.setattr(project_lock, "hold", nothing)
    monkeypatch.setattr(tasks.links, "linked_run", nothing)
    monkeypatch.setattr(steps, "ready_data", lambda _: SimpleNamespace(short="0a", images=4, classes=2))
    monkeypatch.setattr(graph, "stages", lambda _: [])
    monkeypatch.setattr(lineage, "lineage", lambda *_: None)
    monkeypatch.setattr(lineage, "require_recorded", lambda *_: None)
    monkeypatch.setattr(tasks, "_register", lambda *_: None)
    monkeypatch.setattr(tasks, "_decide_and_promote", lambda *_: outcome())
    monkeypatch.setattr(tasks, "_report", lambda *_: None)
    monkeypatch.setattr(summary, "closing_text", lambda *_: "the closing words")
    return said


def failing(*_: Any) -> Any:
    raise ValueError("cannot convert float NaN\nto integer")


def test_a_report_that_fails_is_said_in_one_line_and_the_retraining_ends_well(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_report", failing)
    flow.retrain.fn(str(tmp_path))
    assert said[1:] == [
        "the report could not be written (ValueError: cannot convert float NaN to integer); the decision stands, and "
        "`kshot retrain` writes it and trains nothing",
        "the closing words",
    ]


def test_a_summary_that_fails_ends_well_too(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "closing_text", failing)
    flow.retrain.fn(str(tmp_path))
    assert len(said) == 2 and "`kshot models` shows the decision" in said[1]


def test_a_decision_that_fails_still_fails_the_retraining(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_decide_and_promote", failing)
    with pytest.raises(ValueError, match="NaN"):
        flow.retrain.fn(str(tmp_path))


def test_a_run_that_cannot_be_closed_is_said_after_all_of_it_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RegistryError("the store does not answer")

    monkeypatch.setattr(live_run.store, "connect", lambda _: "the store")
    monkeypatch.setattr(live_run.LiveRun, "end", refuse)
    with live_run.live_run(tmp_path) as live:
        live.stop()
    assert live.trouble_at_end == "MLflow's run could not be closed: the store does not answer"
