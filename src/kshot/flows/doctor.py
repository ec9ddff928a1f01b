"""The doctor's checks of Prefect's records: late starts, schedules without a next start, runs that hang.

The project's own database is read directly, so that no server has to start. If PREFECT_API_URL names a server, that
server is queried.
"""

import dataclasses
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from kshot.errors import KshotError
from kshot.first_few import first_few
from kshot.flows import run_processes, server
from kshot.flows.deployment_names import BY_TIME, deployment_name
from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import no_telemetry, project_lock, state_place
from kshot.lifecycle.tracking import run_content, store
from kshot.lifecycle.tracking.own_database import read_only
from kshot.params import project_name

LATE_S = 120.0  # Prefect's runner polls every 10 s, and its scheduler plans ahead every minute
PLANNED_S = 180.0  # from the start of serving until starts by the clock must be planned
RUNS = """select flow_run.id, flow_run.name, flow.name, coalesce(deployment.name, ''), flow_run.state_type,
    flow_run.state_name, flow_run.expected_start_time, flow_run.start_time
    from flow_run join flow on flow.id = flow_run.flow_id left join deployment on deployment.id = flow_run.deployment_id
    where flow_run.state_type in ('SCHEDULED', 'RUNNING', 'CANCELLING')"""


@dataclasses.dataclass(frozen=True)
class Run:
    """A flow run that has not ended: its deployment ('' if a person started it), its due time and its start time."""

    id: str
    name: str
    flow: str
    deployment: str
    type: str
    state: str
    due: datetime | None
    began: datetime | None


def findings(root: Path) -> list[Finding]:
    """Find problems in Prefect's records of this project. Raises KshotError if a server does not answer."""
    if state_place.elsewhere(root) is not None:
        return []  # reported with the places: these records are another project's
    named = os.environ.get("PREFECT_API_URL")
    if named:
        server.find(Path(os.environ.get("PREFECT_HOME") or root / no_telemetry.PREFECT_HOME))
    if named and not server.responds(named):
        raise KshotError(f"Prefect's server {named} does not answer; start it, or unset PREFECT_API_URL")
    if named:
        runs = _of_server(root)
        return [*firing(root, runs), *hanging(root, [run for run in runs if _is_ours(root, run)])]
    database = Path(os.environ.get("PREFECT_HOME") or root / no_telemetry.PREFECT_HOME) / "prefect.db"
    if not database.exists() or unreadable(database):
        return []  # reported with the files
    runs = _of_database(database)
    living = run_processes.alive(root)
    return [*firing(root, runs), *hanging(root, [run for run in runs if _is_gone(root, run, living)])]


def firing(root: Path, runs: list[Run]) -> Iterator[Finding]:
    """Timed starts that are late or not planned, although the schedule is served."""
    stored, by = schedule.read(root), project_lock.holder(root, project_lock.SERVING)
    if by is None or stored is None:
        return
    clocks = [name for name in stored.names() if name != schedule.NEW_DATA and name not in stored.paused]
    if not clocks:
        return
    now = datetime.now(UTC)
    by_time = deployment_name(root, BY_TIME)
    waiting = [run for run in runs if run.deployment == by_time and run.type == "SCHEDULED"]
    again = f"kill -INT {by.pid}, then `kshot schedule`; .kshot/scheduler.log says what went wrong"
    # A run that waits for another to end is not late.
    due = [run.due for run in waiting if run.due is not None and run.state in ("Scheduled", "Late")]
    late = [one for one in due if (now - one).total_seconds() > LATE_S]
    if late:
        oldest = min(late)
        found = f"starts of {', '.join(clocks)} are late ({len(late)}, the first was due {oldest:%Y-%m-%d %H:%M} UTC)"
        yield Finding("schedule", found, f"a runner that starts them (process {by.pid} serves, and does not)", again)
    served_s = (now - datetime.fromisoformat(by.since)).total_seconds()
    if not waiting and served_s > PLANNED_S:
        found = f"{', '.join(clocks)} is served by process {by.pid} since {by.since}, and no next start is planned"
        yield Finding("schedule", found, "Prefect's scheduler at work, which sqlalchemy 2.1 stops", again)


def hanging(root: Path, gone: list[Run]) -> Iterator[Finding]:
    """One finding for all runs whose process has ended."""
    if gone:
        found = f"Running in Prefect though the process is gone: {first_few([run.name for run in gone], 5)}"
        ids = [run.id for run in gone]
        mend = "kshot doctor --mend marks it Crashed"
        yield Finding("runs", found, "an end", mend, by_itself=lambda: crash(root, ids))


def crash(root: Path, ids: list[str]) -> str:
    """Mark flow runs as Crashed, at the running server or at one started for this."""
    starting = server.launch(root)
    if starting is not None:
        starting.wait()
    from prefect import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for one in ids:
            state: Any = Crashed(message="its process ended without a word; `kshot doctor` found it")
            client.set_flow_run_state(UUID(one), state, force=True)
    return f"Crashed in Prefect now: {first_few(ids, 5)}"


def _is_gone(root: Path, run: Run, living: frozenset[str]) -> bool:
    """Whether no process can be working on a run in the project's own database; `living`: runs that have a process.

    A run outlives its scheduler if only the scheduler was killed.
    """
    if run.type == "SCHEDULED" or run.id in living:
        return False
    if run.deployment:
        return project_lock.holder(root, project_lock.SERVING) is None  # the serving process monitors its runs
    by = project_lock.holder(root, project_lock.LOCK)
    return by is None or (run.began is not None and run.began < datetime.fromisoformat(by.since))


def _is_ours(root: Path, run: Run) -> bool:
    """Whether a run at a shared server was on this machine and its process has ended, according to its MLflow run."""
    if run.type == "SCHEDULED":
        return False
    with store.translated_errors(store.connect(root)):
        client = store.client()
        experiment = client.get_experiment_by_name(project_name.of(root))
        assert experiment is not None, "connecting makes it"
        wanted = f"tags.`kshot.prefect_flow_run` = '{run.id}' and tags.`kshot.host` = '{socket.gethostname()}'"
        found = client.search_runs([experiment.experiment_id], wanted)
    here = [one for one in found if Path(one.data.tags.get("kshot.root", "")).is_relative_to(root.resolve())]
    return bool(here) and all(run_content.is_abandoned(one) for one in here)


def _of_database(path: Path) -> list[Run]:
    with read_only(path) as database:
        rows = database.execute(RUNS).fetchall()
    return [
        Run(run, name, flow, deployment, kind, state, _time(due), _time(began))
        for run, name, flow, deployment, kind, state, due, began in rows
    ]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _of_server(root: Path) -> list[Run]:
    """The runs of this project's deployments, and those that a person started, which also name its folder."""
    from prefect import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    def wanted(*types: StateType) -> filters.FlowRunFilter:
        kinds = filters.FlowRunFilterStateType(any_=list(types))
        return filters.FlowRunFilter(state=filters.FlowRunFilterState(type=kinds))

    by_time = filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[deployment_name(root, BY_TIME)]))
    soonest = FlowRunSort.EXPECTED_START_TIME_ASC  # only the first of many are returned
    with get_client(sync_client=True) as client:
        found = [
            *client.read_flow_runs(flow_run_filter=wanted(StateType.RUNNING, StateType.CANCELLING)),
            *client.read_flow_runs(
                flow_run_filter=wanted(StateType.SCHEDULED), deployment_filter=by_time, sort=soonest
            ),
        ]
        names: dict[UUID | None, str] = {one.id: one.name for one in client.read_deployments()}
    places = {str(root.resolve()), str(root)}
    return [
        Run(
            id=str(run.id),
            name=run.name,
            flow="",
            deployment=names.get(run.deployment_id, ""),
            type=run.state_type.value if run.state_type else "",
            state=str(run.state_name),
            due=run.expected_start_time,
            began=run.start_time,
        )
        for run in found
        if places & {str(run.parameters.get(key)) for key in ("project", "root")}
    ]
