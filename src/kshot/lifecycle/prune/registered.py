"""The files of a registered model in MLflow's store: their size and their deletion. The version itself is kept."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.tracking import store
from kshot.params import project_name

LOGGED = "models:/"


@dataclass(frozen=True)
class Weights:
    """A version's model files: their location in MLflow, their names and their total bytes."""

    version: str
    location: str
    files: tuple[str, ...]
    size: int


def sources(root: Path) -> dict[str, str]:
    """The source of each version's model."""
    found = store.client().search_model_versions(store.of_project(root))
    return {str(one.version): one.source or "" for one in found}


def weights_of(sources: dict[str, str], version: str) -> Weights | None:
    """The files of a version; None if another version has the same model, or kshot did not register it."""
    source = sources[version]
    if not source.startswith(LOGGED) or list(sources.values()).count(source) > 1:
        return None
    location = store.client().get_logged_model(source.removeprefix(LOGGED)).artifact_location
    files = _files(_repository(location), None)
    return Weights(version, location, tuple(sorted(files)), sum(files.values()))


def delete(root: Path, weights: Weights) -> None:
    """Tag the version as pruned, then delete its files, so that an audit does not report them as lost."""
    with store.translated_errors(store.connect(root)):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        store.client().set_model_version_tag(project_name.of(root), weights.version, model_versions.PRUNED, now)
        repository = _repository(weights.location)
        for name in sorted({name.split("/")[0] for name in weights.files}):
            repository.delete_artifacts(name)


def _repository(location: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(location)


def _files(repository: Any, folder: str | None) -> dict[str, int]:
    """Name and bytes of every file below a folder of the store."""
    found: dict[str, int] = {}
    for one in repository.list_artifacts(folder):
        found |= _files(repository, one.path) if one.is_dir else {one.path: int(one.file_size or 0)}
    return found
