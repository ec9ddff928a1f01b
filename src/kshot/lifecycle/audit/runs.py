"""Finds the runs that used a data version."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.audit.subject import DELETED
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.own_database import read_only
from kshot.params import project_name
from kshot.params.renamed import recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATA = "kshot.data_version"  # the tag that names the data version
PAGE = 1000  # runs per request


@dataclass(frozen=True)
class RunOnData:
    """A run that used the data.

    started   in UTC
    status    in lower case, "deleted" for a deleted run
    params    by their current names
    version   the model version registered from it, "" if none
    """

    run_id: str
    started: datetime
    status: str
    params: dict[str, str]
    version: str = ""


def runs_on(client: "MlflowClient", root: Path, md5: str) -> tuple[RunOnData, ...]:
    """The runs whose data version is `md5`, including deleted ones, oldest first."""
    experiment = client.get_experiment_by_name(project_name.of(root))
    assert experiment is not None, "connecting makes it"
    database = store.sqlite_file(root)
    if database:
        try:
            return read_tables(database, str(experiment.experiment_id), md5)
        except sqlite3.Error:
            pass  # tables of an unknown MLflow version: let MLflow read them
    return search(client, str(experiment.experiment_id), md5)


def read_tables(database: Path, experiment: str, md5: str) -> tuple[RunOnData, ...]:
    """`runs_on`, read from the tables. MLflow's search makes an object of every param, metric and tag of every run;
    over a thousand runs, that alone takes half as long as everything else in the command."""
    of_data = (
        "from runs join tags using (run_uuid) where tags.key = ? and tags.value = ? and cast(experiment_id as text) = ?"
    )
    values = (DATA, md5, experiment)
    params: dict[str, dict[str, str]] = defaultdict(dict)
    with read_only(database) as tables:
        for run_id, name, value in tables.execute(
            f"select run_uuid, key, value from params where run_uuid in (select run_uuid {of_data}) order by key",
            values,
        ):
            params[run_id][name] = value
        rows = tables.execute(
            f"select run_uuid, start_time, status, lifecycle_stage {of_data} order by start_time, run_uuid", values
        )
        return tuple(_run(run_id, start, status, stage, params[run_id]) for run_id, start, status, stage in rows)


def search(client: "MlflowClient", experiment: str, md5: str) -> tuple[RunOnData, ...]:
    """`runs_on`, for any store of MLflow."""
    from mlflow.entities import ViewType

    found: list[RunOnData] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment],
            f"tags.`{DATA}` = '{md5}'",
            run_view_type=ViewType.ALL,
            max_results=PAGE,
            order_by=["start_time"],
            page_token=token,
        )
        for run in page:
            info = run.info
            params = dict(sorted(run.data.params.items()))
            found.append(_run(info.run_id, info.start_time, str(info.status), info.lifecycle_stage, params))
        token = page.token
        if not token:
            return tuple(found)


def _run(run_id: str, start_ms: int | None, status: str, stage: str, params: dict[str, str]) -> RunOnData:
    started = datetime.fromtimestamp((start_ms or 0) / 1000, UTC)
    return RunOnData(run_id, started, DELETED if stage == DELETED else status.lower(), recorded(params))
