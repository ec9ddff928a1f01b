"""Finds runs with status RUNNING in MLflow whose process is gone: a power failure, a kill -9."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.first_few import first_few
from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.tracking import run_content, store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

CHECK = "runs"


def findings(root: Path) -> list[Finding]:
    """Find the hanging runs of this machine. Raises RegistryError for a store that cannot be used."""
    database = root / store.DATABASE
    if "MLFLOW_TRACKING_URI" not in os.environ and (not database.exists() or unreadable(database)):
        return []
    with store.translated_errors(store.connect(root)):
        hanging = _hanging(store.client(), root)
    if not hanging:
        return []
    found = f"RUNNING in MLflow though the process is gone: {_names(hanging)}"
    return [Finding(CHECK, found, "an end", "kshot doctor --mend marks it KILLED", by_itself=lambda: end(root))]


def end(root: Path) -> str:
    """Mark the hanging runs as KILLED. Raises RegistryError."""
    with store.translated_errors(store.connect(root)):
        client = store.client()
        hanging = _hanging(client, root)
        for run in hanging:
            run_content.close(client, run)
    return f"KILLED in MLflow now: {_names(hanging)}"


def _names(runs: "list[Run]") -> str:
    return first_few([run.info.run_id[:8] for run in runs], 5)


def _hanging(client: "MlflowClient", root: Path) -> "list[Run]":
    experiment = client.get_experiment_by_name(project_name.of(root))
    assert experiment is not None, "connecting makes it"
    here = {"kshot.host": socket.gethostname()}
    found = run_content.running(client, experiment.experiment_id, here)
    if "MLFLOW_TRACKING_URI" in os.environ:
        # It also has other people's runs, perhaps of a container with the same name and other process numbers.
        found = [run for run in found if Path(run.data.tags.get("kshot.root", "")).is_relative_to(root.resolve())]
    return [run for run in found if run_content.is_abandoned(run)]
