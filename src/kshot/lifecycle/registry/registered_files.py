"""Downloads a version's model, and checks it against the manifest that it was registered with."""

import tempfile
from pathlib import Path
from typing import Any

from kshot.errors import RegistryError
from kshot.lifecycle.history import history
from kshot.lifecycle.history.erasure_event import manifest_now
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry.recorded_manifest import recorded_manifest
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import store
from kshot.params import project_name


def model_files(root: Path, version: str, folder: Path) -> Path:
    """Download a version's model below `folder` and return the path of its embedding.

    Every file of the model is first checked against the manifest that the version was registered with. Raises
    RegistryError if the model is gone, and Altered if it is not as it was registered.
    """
    place = fetched(root, version, folder)
    where = store.connect(root)
    with store.translated_errors(where):
        client = store.client()
        found = client.get_model_version(project_name.of(root), version)
        events = history.read(client, root).events
    expected, _ = manifest_now(root, recorded_manifest(version, found.tags, events), events)
    model_manifest.require(place, version, expected)
    return place / "artifacts" / layout.EMBEDDING


def fetched(root: Path, version: str, folder: Path) -> Path:
    """Download the whole model of a version below `folder` for inspection, unchecked.

    Raises RegistryError if the model is gone, and store.Unreachable if the server stopped answering meanwhile.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    where, address = store.connect(root), f"models:/{project_name.of(root)}/{version}"

    def registered() -> Any:
        with store.translated_errors(where):
            return store.client().get_model_version(project_name.of(root), version)

    found = registered()
    gone = f"the artifacts of version {version} (run {found.run_id}) are gone from {where}; bring them back from a copy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder)))
    except (OSError, MlflowException) as error:
        registered()  # MLflow reports a server that ended as it reports files that are missing
        raise RegistryError(gone) from error
    if not (place / "artifacts" / layout.EMBEDDING).is_dir():
        raise RegistryError(gone)  # MLflow downloads a missing folder as an empty one
    return place


def require_whole(root: Path, version: str) -> None:
    """Raise RegistryError if a version's model is gone or not as it was registered; does not import torch."""
    with tempfile.TemporaryDirectory() as scratch:
        model_files(root, version, Path(scratch))
