"""Champions in a history whose versions are no longer registered.

Either their registered model was deleted on MLflow's page, or an older kshot began a second history. Their runs still
exist and name their inputs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kshot.errors import RegistryError
from kshot.lifecycle.history import history, history_run
from kshot.lifecycle.history.events import CHAMPION
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.tracking import store
from kshot.load_yaml import load_yaml

if TYPE_CHECKING:
    from mlflow import MlflowClient


def champions(client: "MlflowClient", root: Path) -> tuple[tuple[str, str], ...]:
    """The number and the run of every champion that any history names, once each.

    Raises RegistryError for a champion of a deleted model without evidence, because its run cannot be determined.
    """
    found: dict[tuple[str, str], None] = {}
    for run in history_run.every(client, root):
        events = history.events_of(client, str(run.info.run_id))
        proofs: dict[str, str] = {}
        for event in events:
            if event.proof is not None:
                proofs[event.version] = event.proof.run_id
        for number in dict.fromkeys(event.after[CHAMPION] for event in events if CHAMPION in event.after):
            if number in proofs:
                found[number, proofs[number]] = None
            elif not _is_registered(client, root, number):
                raise RegistryError(
                    f"version {number} was champion, is registered no more, and its history names no run of it; "
                    "nothing is deleted, because its data is unknown"
                )
    return tuple(found)


def locked(client: "MlflowClient", number: str, run_id: str, scratch: Path) -> tuple[str, frozenset[str]]:
    """The data version and the md5s in the dvc.lock of a run. Raises RegistryError if the run does not have them."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
        place = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{run.info.artifact_uri}/{LOCK_FILE}", dst_path=str(scratch)
        )
        stages = load_yaml(Path(place).read_bytes())["stages"]
    except (OSError, MlflowException, yaml.YAMLError, KeyError, TypeError) as error:
        raise RegistryError(
            f"it is not known what version {number}, a champion once, was trained on: {LOCK_FILE} of run {run_id} is "
            "gone; nothing is deleted until its run is complete again"
        ) from error
    read = (dep for stage in stages.values() for dep in stage.get("deps", []) if dep["path"] == layout.RAW.as_posix())
    return next((str(dep["md5"]).removesuffix(".dir") for dep in read), ""), named_by(stages)


def named_by(stages: dict[str, Any]) -> frozenset[str]:
    """The md5s of everything that the stages in a dvc.lock read and wrote, without code."""
    entries = (entry for stage in stages.values() for kind in ("deps", "outs") for entry in stage.get(kind, []))
    return frozenset(str(entry["md5"]) for entry in entries if entry.get("md5") and not entry["path"].endswith(".py"))


def _is_registered(client: "MlflowClient", root: Path, number: str) -> bool:
    return any(str(one.version) == number for one in client.search_model_versions(store.of_project(root)))
