"""Reads the history of promotions: params of one MLflow run, because MLflow never changes a param.

Neither MLflow's pages nor its API can edit an event.
"""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history import history_run
from kshot.lifecycle.history.events import (
    CHALLENGER,
    CHAMPION,
    Event,
    from_text,
)
from kshot.lifecycle.tracking import store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

EVENT, DONE = "event.{:06d}", "event.{:06d}.done"


@dataclass(frozen=True)
class Record:
    """The registry's state: the run of the history, its events, and the versions that the aliases point to.

    name    the project's name, which is normally the registered model's too
    model   the registered model's actual name: different if it was renamed, '' if it is gone
    made    when the registered model was created
    """

    run_id: str
    events: tuple[Event, ...]
    aliases: dict[str, str]
    name: str
    model: str = ""
    made: datetime | None = None

    @property
    def last(self) -> Event | None:
        return self.events[-1] if self.events else None

    @property
    def is_consistent(self) -> bool:
        """Whether nothing is unfinished and nobody moved an alias outside kshot."""
        done = self.last is None or self.last.done
        return done and self.model in ("", self.name) and self.aliases == (self.last.after if self.last else {})

    @property
    def was_deleted(self) -> bool:
        """Whether the registered model was deleted after the last event; it may have been created again since."""
        if self.last is None or self.model not in ("", self.name):
            return False
        return self.made is None or self.made > datetime.fromisoformat(self.last.when)

    @property
    def trouble(self) -> str:
        """The fault of the registered model; '' if it is in order."""
        return history_run.trouble(self.name, self.model, self.events)


def history(root: Path) -> list[Event]:
    """Every event of the registry, oldest first. Raises RegistryError for a history that cannot be read."""
    with store.translated_errors(store.connect(root)):
        return list(read(store.client(), root).events)


def record(root: Path) -> Record:
    """The registry's current events and aliases. Raises RegistryError for a history that cannot be read."""
    with store.translated_errors(store.connect(root)):
        return read(store.client(), root)


def aliases(root: Path) -> dict[str, str]:
    """The versions that the aliases champion and challenger point to."""
    with store.translated_errors(store.connect(root)):
        return read(store.client(), root).aliases


def read(client: "MlflowClient", root: Path) -> Record:
    """The current record; empty if no model was ever registered.

    A history is found even if its registered model was deleted or renamed.
    """
    name, model = project_name.of(root), history_run.registered(client, root)
    run_id = (model.tags.get(history_run.RUN, "") if model else "") or history_run.latest(client, root)
    if model is None and run_id:
        model = history_run.renamed(client, root, run_id)
    if model is None:
        return Record(run_id, events_of(client, run_id) if run_id else (), {}, name)
    made = datetime.fromtimestamp(model.creation_timestamp / 1000, UTC)
    return Record(run_id, events_of(client, run_id) if run_id else (), _standing(model), name, model.name, made)


def standing(client: "MlflowClient", root: Path) -> dict[str, str]:
    """The versions of champion and challenger, even if the history cannot be read. Raises MlflowException."""
    found = history_run.registered(client, root)
    return _standing(found) if found else {}


def _standing(model: "RegisteredModel") -> dict[str, str]:
    return {name: str(version) for name, version in model.aliases.items() if name in (CHAMPION, CHALLENGER)}


def events_of(client: "MlflowClient", run_id: str) -> tuple[Event, ...]:
    """The events in a run. Raises RegistryError for a run that is gone or deleted, and for a changed event."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"run {run_id}, which stores the history of promotions, is gone from MLflow's store; restore the "
            f"database from a copy, or begin a new history: delete the tag {history_run.RUN} of the registered model"
        ) from error
    history_run.require_active(run)
    params = run.data.params
    events = []
    for name in sorted(name for name in params if name.startswith("event.") and not name.endswith(".done")):
        try:
            events.append(from_text(params[name]))
        except ValueError as error:
            raise RegistryError(
                f"{name} of the history of promotions (run {run_id}) was changed in the database: {error}; "
                "bring the database back from a copy"
            ) from error
    return tuple(dataclasses.replace(event, done=params.get(DONE.format(event.number)) is not None) for event in events)
