"""A project's MLflow store: sqlite and folders under mlruns/, or the server that MLFLOW_TRACKING_URI names."""

import contextlib
import logging
import os
import re
import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.tracking import own_database, server_trouble, sqlite_trouble
from kshot.lifecycle.tracking.first_commits import another, first_commits
from kshot.lifecycle.tracking.own_database import ARTIFACTS as ARTIFACTS
from kshot.lifecycle.tracking.own_database import DATABASE as DATABASE
from kshot.params import project_name
from kshot.redaction import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

OWNER = "kshot.first_commit"  # on the experiment: first commit of the project's repository, for a shared store
LONGEST_TAG = 5000  # characters that every MLflow store accepts
# A server that does not respond is reported within 15 seconds: two tries of 6 s; MLflow's default takes minutes.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "6",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the server's address contains its password
}


# MLflow logs each error of its database with SQL and traceback, and raises it too: `translated_errors` reports it.
DATABASE_LOG = "mlflow.store.db.utils"

_opened: set[str] = set()  # addresses at which MLflow found the experiment in this process


class Unreachable(RegistryError):
    """A server did not respond in time. Retrying may help."""


def uri(root: Path) -> str:
    """The address of the store of the project at `root`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / DATABASE).resolve()}"


def sqlite_file(root: Path) -> Path | None:
    """The database file of the project at `root`, None if the store is not sqlite."""
    kind, _, path = uri(root).partition(":///")
    return Path(path) if kind == "sqlite" else None


def client() -> "MlflowClient":
    """A client of the store that `connect` chose."""
    import mlflow

    return mlflow.MlflowClient()


def of_project(root: Path) -> str:
    """MLflow's filter for the registered model and the versions of the project at `root` only."""
    return f"name = '{project_name.of(root)}'"


def connect(root: Path) -> str:
    """Make MLflow in this process use the project's store, which is created if new; returns its address.

    Raises RegistryError for a store that cannot be opened. An MLflow variable that is already set keeps its value.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    (root / layout.MLRUNS).mkdir(parents=True, exist_ok=True)
    import mlflow

    logging.getLogger(DATABASE_LOG).setLevel(logging.CRITICAL)
    with exclusive(root, "mlflow"):
        where, named = uri(root), "MLFLOW_TRACKING_URI" in os.environ
        with translated_errors(where):
            known: frozenset[str] = frozenset()
            if not named:
                known = _make_database(root)
            elif (shared := sqlite_file(root)) is not None:
                _make_shared_database(shared)
            elif not where.startswith("http") and where not in _opened:
                server_trouble.require_answer(where)
            mlflow.set_tracking_uri(where)
            mlflow.set_registry_uri(where)
            if not named:
                # MLflow set it; a second project in this process would take it for the person's choice.
                os.environ.pop("MLFLOW_TRACKING_URI", None)
            client = mlflow.MlflowClient()
            if named:
                _require_own(client, root, where)
            # MLflow takes 4 ms to find the experiment. Its first look shows whether it can use the database.
            if (name := project_name.of(root)) not in known or where not in _opened:
                experiment(client, root, where, name)
                _opened.add(where)
    return where


def require_writable(where: str) -> None:
    """Raise RegistryError for a database file that this process may only read; reading alone does not show it."""
    if why := sqlite_trouble.read_only(where):
        raise RegistryError(why)


def _require_own(client: "MlflowClient", root: Path, where: str) -> None:
    """Raise RegistryError if the experiment with the project's name belongs to another project."""
    found = client.get_experiment_by_name(name := project_name.of(root))
    theirs = found.tags.get(OWNER, "") if found else ""
    if theirs and (ours := first_commits(root)) and theirs not in ours:
        raise RegistryError(another(name, redacted(where), theirs, ours))


def experiment(client: "MlflowClient", root: Path, where: str, name: str) -> str:
    """The id of the experiment `name`, created if new, even if another machine creates it at the same time."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server decides where artifacts are stored; for a database kshot does.
    place = None if where.startswith("http") else (root / ARTIFACTS).resolve().as_uri()
    try:
        tags = {OWNER: min(ours)} if "MLFLOW_TRACKING_URI" in os.environ and (ours := first_commits(root)) else {}
        return str(client.create_experiment(name, artifact_location=place, tags=tags))
    except MlflowException as error:
        found = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return str(found.experiment_id)


def deleted(run: "Run") -> tuple[str, str]:
    """The deleted object, a run or its whole experiment, and the command to restore it."""
    experiment = client().get_experiment(run.info.experiment_id)
    if experiment.lifecycle_stage == "active":
        return f"run {run.info.run_id}", restoring("run", run.info.run_id)
    # Deleting and restoring an experiment includes its runs.
    return f"experiment {experiment.name!r}", restoring("experiment", experiment.experiment_id)


def restoring(kind: str, number: str) -> str:
    """The command that restores a "run" or an "experiment" of the connected store."""
    import mlflow

    # A person who set the variable has it set for this command, too; an address may contain a password.
    named = "MLFLOW_TRACKING_URI" in os.environ
    where = "" if named else f"MLFLOW_TRACKING_URI={shlex.quote(mlflow.get_tracking_uri())} "
    return f"{where}mlflow {kind}s restore --{kind}-id {number}"


@contextmanager
def translated_errors(where: str) -> Iterator[None]:
    """Turn errors of MLflow, its database and its connection into one line that names the store."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    began = time.monotonic()
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException) as error:
        what = redacted(" ".join(str(error).split()))[:300]
        if deleted := re.search(r"The (run|experiment) (\w+) must be in the 'active' state", str(error)):
            kind, number = deleted.groups()
            raise RegistryError(
                f"{kind} {number} was deleted in MLflow; bring it back with: {restoring(kind, number)}"
            ) from error
        if not where.startswith(("http", "sqlite")) and server_trouble.is_lost(str(error)):
            raise Unreachable(server_trouble.sentence(where, str(error))) from error
        if not where.startswith("http"):
            raise RegistryError(sqlite_trouble.sentence(where, str(error), time.monotonic() - began)) from error
        if isinstance(error, RequestException) or "with exception" in what or "timed out" in what.lower():
            raise Unreachable(
                f"MLflow's server {where} did not answer{sqlite_trouble.after('tried', time.monotonic() - began)}; "
                "start it, or unset MLFLOW_TRACKING_URI to keep the records under mlruns/"
            ) from error
        raise RegistryError(f"MLflow's server {where} refused: {what}; its log says more") from error


def _make_database(root: Path) -> frozenset[str]:
    """Create the database if there is none, atomically: a half-made one could never be opened again.

    Returns the names of the experiments of one that was there.
    """
    known = own_database.require_sound(root)
    if known is not None:
        return known
    sibling = (root / DATABASE).with_suffix(".new")
    _write_database(sibling, root / ARTIFACTS)
    sibling.replace(root / DATABASE)
    return frozenset()


def _make_shared_database(path: Path) -> None:
    """Create a named database if there is none; of two processes that do so at once, one makes it."""
    if path.exists() or not path.parent.is_dir():  # MLflow's own message names a folder that is missing
        return
    sibling = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write_database(sibling, path.parent / "mlruns")
        with contextlib.suppress(FileExistsError):
            os.link(sibling, path)
    finally:
        sibling.unlink(missing_ok=True)


def _write_database(path: Path, artifacts: Path) -> None:
    """Create a database that nobody reads yet; it is flushed once, not a thousand times by its 67 migrations."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
        if any(Path(place) == path.resolve() for _, _, place in connection.execute("PRAGMA database_list")):
            connection.execute("PRAGMA synchronous = OFF")

    path.unlink(missing_ok=True)
    event.listen(Engine, "connect", wait_for_no_disk)
    try:
        address = f"sqlite:///{path.resolve()}"
        made = SqlAlchemyStore(address, artifacts.resolve().as_uri())  # type: ignore[no-untyped-call]
        made.engine.dispose()
    finally:
        event.remove(Engine, "connect", wait_for_no_disk)
    with path.open("rb") as file:
        os.fsync(file.fileno())
