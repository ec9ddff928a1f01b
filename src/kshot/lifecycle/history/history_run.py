"""Finds the MLflow run that stores the promotion history.

The registered model names the run in a tag. If the model was deleted or renamed on MLflow's page, the run still exists:
it is found among the runs of its experiment, and the history continues in it. No second history is begun.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.tracking import own_database, store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import RegisteredModel

    from kshot.lifecycle.history.events import Event

RUN = "kshot.history"  # tag on the registered model: the run that stores its events
PREFIX = "event."  # of the params that store events


def experiment(root: Path) -> str:
    """The experiment of the runs that store histories of the project at `root`."""
    return f"{project_name.of(root)} promotions"


def registered(client: "MlflowClient", root: Path) -> "RegisteredModel | None":
    """The registered model with the project's name, None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(project_name.of(root))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def renamed(client: "MlflowClient", root: Path, run_id: str) -> "RegisteredModel | None":
    """The registered model whose tag names this history but which has another name."""
    found = client.search_registered_models()
    return next((one for one in found if one.tags.get(RUN) == run_id and one.name != project_name.of(root)), None)


def every(client: "MlflowClient", root: Path) -> "list[Run]":
    """Every run that stores a history, deleted ones included, longest first; normally one per project."""
    from mlflow.entities import ViewType

    found = client.get_experiment_by_name(experiment(root))
    runs = client.search_runs([found.experiment_id], run_view_type=ViewType.ALL) if found else []
    return sorted(
        (run for run in runs if _length(run)), key=lambda run: (_length(run), -run.info.start_time), reverse=True
    )


def latest(client: "MlflowClient", root: Path) -> str:
    """The run of a history that no registered model names any more, '' if none."""
    return next((str(run.info.run_id) for run in every(client, root)), "")


def begin(client: "MlflowClient", root: Path, where: str) -> None:
    """Create the registered model with its history in one write, unless another machine just did.

    An existing history is continued.
    """
    from mlflow.exceptions import MlflowException

    before = latest(client, root)
    run_id = before or new(client, root, where)
    try:
        client.create_registered_model(project_name.of(root), tags={RUN: run_id})
    except MlflowException as error:
        if not before:
            client.delete_run(run_id)
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return
    own_database.remember(root, run_id)


def new(client: "MlflowClient", root: Path, where: str) -> str:
    """Create a run for a new history and return its id."""
    run = client.create_run(store.experiment(client, root, where, experiment(root)), run_name="history of promotions")
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def regain(client: "MlflowClient", root: Path, where: str) -> tuple[str, ...]:
    """Restore a renamed model's name, or a removed history tag. Returns a sentence if a name was restored."""
    name, model = project_name.of(root), registered(client, root)
    if model is not None:
        if RUN not in model.tags:
            client.set_registered_model_tag(name, RUN, latest(client, root) or new(client, root, where))
        return ()
    other = renamed(client, root, latest(client, root))
    if other is None:
        return ()
    client.rename_registered_model(other.name, name)
    return (f"the registered model {name} had been renamed to {other.name}; its name is restored",)


def trouble(name: str, model: str, events: "Iterable[Event]") -> str:
    """The fault of the registered model `name`; '' if it exists or never did. `model`: its actual name."""
    if model == name or not list(events):
        return ""
    if model:
        return f"the registered model {name} was renamed to {model} in MLflow; `kshot models` gives the name back"
    return (
        f"the registered model {name} was deleted in MLflow, and its versions with it; the history and the runs "
        "are still there, and the next `kshot retrain` continues from them"
    )


def require_new_numbers(client: "MlflowClient", root: Path, events: "Iterable[Event]") -> None:
    """Use up every version number that the history names, so that no number ever means two models.

    A registered model that was deleted and created again counts from 1. The versions created here are deleted at once:
    MLflow never reuses a number.
    """
    named = {int(number) for event in events for number in (event.version, *event.after.values()) if number.isdecimal()}
    there = {int(one.version) for one in client.search_model_versions(store.of_project(root))}
    last = max(there, default=0)
    while last < max(named, default=0):
        made = client.create_model_version(project_name.of(root), "runs:/deleted/model")
        client.delete_model_version(project_name.of(root), made.version)
        last = int(made.version)


def require_active(run: "Run") -> None:
    """Raise RegistryError for a history whose run or experiment was deleted on MLflow's page."""
    if run.info.lifecycle_stage != "active":
        what, restore = store.deleted(run)
        raise RegistryError(
            f"{what}, which stores the history of promotions, was deleted; bring it back with: {restore}"
        )


def _length(run: "Run") -> int:
    return sum(name.startswith(PREFIX) for name in run.data.params)
