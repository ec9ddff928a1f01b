"""MLflow's store of a project: sqlite and folders under mlruns/, or the server that MLFLOW_TRACKING_URI names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kshot.errors import RegistryError
from kshot.lifecycle import layout
from kshot.lifecycle.files import exclusive

EXPERIMENT = "kshot"
# A server that does not answer is told within seconds; MLflow's own default goes on for minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def uri(root: Path) -> str:
    """Where the records of the project at `root` are kept."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / layout.MLRUNS / 'mlflow.db').resolve()}"


def connect(root: Path) -> str:
    """Make MLflow in this process use the project's store, created first where it is new; returns its address.

    Raises RegistryError for a store that cannot be opened.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    where = uri(root)
    # A new database is migrated by who opens it first; two at once would crash in that.
    with told(where), exclusive(root, "mlflow"):
        (root / layout.MLRUNS).mkdir(exist_ok=True)
        mlflow.set_tracking_uri(where)
        mlflow.set_registry_uri(where)
        client = mlflow.MlflowClient()
        if client.get_experiment_by_name(EXPERIMENT) is None:
            local = where.startswith("sqlite:")
            place = (root / layout.MLRUNS / "artifacts").resolve().as_uri() if local else None
            client.create_experiment(EXPERIMENT, artifact_location=place)
    return where


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what MLflow and its database raise into one line that names the store."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        what = " ".join(str(error).split())[:300]
        remedy = (
            "start that server or unset MLFLOW_TRACKING_URI" if where.startswith("http") else "restore it from a copy"
        )
        raise RegistryError(f"MLflow's store at {where} cannot be used: {what}; {remedy}") from error
