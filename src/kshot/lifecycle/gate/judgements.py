"""Finds the gate's last decision about a version, and reads its record."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kshot.errors import RegistryError
from kshot.lifecycle.history.events import GATE_ACTIONS, Event
from kshot.lifecycle.tracking import store


def is_judgement(event: Event) -> bool:
    """Whether the event is a decision of the gate that names its record."""
    return event.action in GATE_ACTIONS and event.proof is not None


def last_judgement(events: Sequence[Event], version: str) -> Event | None:
    """The gate's last decision about the version, None if it was never judged."""
    return next((one for one in reversed(events) if one.version == version and is_judgement(one)), None)


def record_of(root: Path, event: Event | None) -> dict[str, Any]:
    """The record that the event names, {} if it names none. Raises RegistryError if it is gone."""
    if event is None or event.proof is None:
        return {}
    found: dict[str, Any] = json.loads(run_text(root, event.proof.run_id, event.proof.file))
    return found


def run_text(root: Path, run_id: str, name: str) -> str:
    """The text of a run's file. Raises RegistryError if it is gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    with store.translated_errors(store.connect(root)):
        try:
            run = store.client().get_run(run_id)
            return str(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}"))
        except (OSError, MlflowException) as error:
            raise RegistryError(
                f"{name} of run {run_id} is gone, which the gate reads; bring it back from a copy"
            ) from error
