"""Downloads a registered model to a folder, for `kshot.load`."""

from pathlib import Path

from kshot.errors import RegistryError
from kshot.lifecycle.project import layout
from kshot.lifecycle.tracking import store
from kshot.manifest import own_difference
from kshot.redaction import redacted


def fetch(address: str, scratch: Path) -> Path:
    """Download the model at `address`, such as models:/shop@champion, into `scratch`. Returns its embedding's folder.

    The store is the one set in MLflow in this process or by MLFLOW_TRACKING_URI, else the store of the project that
    contains the current folder. Raises RegistryError if mlflow is not installed, the address cannot be found, or the
    model is not as it was registered.
    """
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise RegistryError(
            f"{address} is in an MLflow registry, and mlflow is not installed; pip install 'kshot[pipeline]', "
            "or load a folder"
        ) from None
    is_set: bool = mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    where = mlflow.get_tracking_uri() if is_set else _own_store(Path.cwd())
    try:
        if not is_set:  # mlflow 3.17.2 looks an address up in the global store, whatever store the call names
            mlflow.set_tracking_uri(where)
        found = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=address, dst_path=str(scratch), tracking_uri=where, registry_uri=where
            )
        )
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"{address} cannot be loaded from {redacted(str(where))}: {' '.join(str(error).split())}"
        ) from None
    finally:
        if not is_set:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    if other := own_difference(found):
        raise RegistryError(f"{address} is not as it was registered: {other[0]}; `kshot audit` says more")
    folder = found / "artifacts" / layout.EMBEDDING
    if not folder.is_dir():
        raise RegistryError(f"{address} is no model of kshot: it holds no {folder.relative_to(found)}")
    return folder


def _own_store(start: Path) -> str:
    """The store of the project that contains `start`. Raises RegistryError outside a project."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return store.uri(folder)
    raise RegistryError(
        f"{start} is in no kshot project, and MLflow has no store; call mlflow.set_tracking_uri, or cd to the project"
    )
