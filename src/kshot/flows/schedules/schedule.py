"""Scheduled retrainings: the deployments, their schedules, and starts missed while the schedule was not served."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    State,
    StateType,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as PrefectSchedule
from prefect.states import Cancelled, Crashed

from kshot.errors import KshotError
from kshot.flows import promote
from kshot.flows.at_commit import HERE, CommitError, resolve, retrain_at_commit
from kshot.flows.deployment_names import BY_DATA, BY_TIME, deployment_name, tags
from kshot.flows.run_processes import alive
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA, Schedule
from kshot.lifecycle.tracking import lineage
from kshot.params import project_name

UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
STALE_S = 90.0  # a run that is overdue for longer was missed: Prefect's runner polls every 10 s


def check(root: Path, schedule: Schedule) -> list[str]:
    """Warnings to show before `schedule` is served.

    Raises KshotError for problems that would make every run fail, and for a start that never comes.
    """
    timetable(schedule)
    for name in schedule.names():
        next_start(schedule, name)
    try:
        commit = resolve(root, schedule.ref or HERE)
    except CommitError as error:
        raise KshotError(str(error)) from error
    lines = [f"each retraining works at {schedule.ref or 'the commit that is checked out'}, now {commit[:12]}"]
    if schedule.ref is None and lineage.git_state(root)[1]:
        lines.append("uncommitted changes are not used by scheduled runs; commit them first")
    return lines


def timetable(schedule: Schedule) -> list[PrefectSchedule]:
    """The times of `schedule` as Prefect schedules. Raises KshotError for an invalid cron line."""
    found = []
    if schedule.cron is not None:
        try:
            # Prefect's parser accepts a sixth field for seconds and a seventh for years, which may be in the past.
            if len(schedule.cron.split()) != 5 and schedule.cron not in NICKNAMES:
                raise ValueError("not five fields")
            found.append(Cron(schedule.cron, timezone=schedule.timezone, slug=CRON, active=CRON not in schedule.paused))
        except ValueError as error:
            raise KshotError(
                f"{schedule.cron!r} is no cron line; needs five fields, minute hour day month weekday, "
                "such as '0 3 * * 1' for Mondays at three"
            ) from error
    if schedule.every_s is not None:
        found.append(
            Interval(
                timedelta(seconds=schedule.every_s),
                anchor_date=datetime.fromisoformat(schedule.since),
                timezone=schedule.timezone,
                slug=EVERY,
                active=EVERY not in schedule.paused,
            )
        )
    return found


def both_days(line: str) -> bool:
    """Whether a cron line sets days of the month and of the week: cron then starts on days that match either."""
    fields = line.split()
    return len(fields) == 5 and not {fields[2], fields[4]} & {"*", "?"}


def next_start(schedule: Schedule, name: str) -> datetime | None:
    """The next due time of `name` in the schedule's zone; None if it is not timed. Raises KshotError if never due."""
    return next(iter(next_starts(schedule, name, 1)), None)


def next_starts(schedule: Schedule, name: str, number: int) -> list[datetime]:
    """The next times of `name` in the schedule's zone; empty if it is not timed. Raises KshotError if never due."""
    zone = ZoneInfo(schedule.timezone)
    planned = _planned(schedule, name)
    if planned is None:
        return []
    try:
        dates = asyncio.run(planned.get_dates(number, start=datetime.now(zone)))
    except ValueError:  # from the parser, which gives up after 50 years
        dates = []
    if not dates:
        raise KshotError(f"{schedule.cron!r} never comes: no such day is in any year; needs a day that its month has")
    return [datetime.fromtimestamp(date.timestamp(), zone) for date in dates]


def _planned(schedule: Schedule, name: str) -> Any:
    """The starts of `name` as Prefect's server plans them, also where clocks change; None if it is not timed."""
    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

    if name == EVERY and schedule.every_s is not None:
        every = timedelta(seconds=schedule.every_s)
        return IntervalSchedule.model_validate(
            {"interval": every, "anchor_date": schedule.since, "timezone": schedule.timezone}
        )
    if name == CRON and schedule.cron is not None:
        return CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    return None


def deployments(root: Path, schedule: Schedule) -> list[RunnerDeployment]:
    """The deployments to serve. Add one here, and every `kshot schedule` serves it with the retrainings."""
    parameters = {
        "project": str(root),
        "ref": schedule.ref or HERE,
        "data": schedule.data,
        "settings": list(schedule.settings),
    }
    served = []
    if {CRON, EVERY} & set(schedule.names()):
        full = {
            "wait": ConcurrencyLimitStrategy.ENQUEUE,
            "skip": ConcurrencyLimitStrategy.CANCEL_NEW,
        }[schedule.overlap]
        served.append(
            _deployment(root, BY_TIME, {**parameters, "overlap": schedule.overlap}, full, schedules=timetable(schedule))
        )
    if schedule.new_data:
        # A new data version is never skipped: its run waits.
        waiting = ConcurrencyLimitStrategy.ENQUEUE
        served.append(
            _deployment(
                root,
                BY_DATA,
                {**parameters, "overlap": "wait"},
                waiting,
                schedules=[],
                paused=NEW_DATA in schedule.paused,
            )
        )
    # The form to approve a promotion is on the same pages.
    return [*served, promote.deployment(root)]


def _deployment(
    root: Path, kind: str, parameters: dict[str, Any], full: ConcurrencyLimitStrategy, **times: Any
) -> RunnerDeployment:
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=full)
    # The entry point is a file, so that a run's process imports kshot from the worktree and not earlier.
    made = retrain_at_commit.to_deployment(
        name=deployment_name(root, kind), parameters=parameters, concurrency_limit=limit, tags=tags(root), **times
    )
    assert isinstance(made, RunnerDeployment)  # a coroutine only inside a running event loop
    return made


async def serve(root: Path, schedule: Schedule, served: list[RunnerDeployment], ready: Callable[[], None]) -> None:
    """Apply `served` to the server and run due retrainings until cancelled; calls `ready` when they are applied."""
    # Stopping this process must not change the schedules: by default Prefect would pause them all.
    runner = Runner(name=project_name.of(root), pause_on_shutdown=False)
    ids = [await runner.aadd_deployment(deployment) for deployment in served]
    await tidy(root, schedule, ids)
    ready()
    await runner.start()


async def tidy(root: Path, schedule: Schedule, ids: list[UUID]) -> None:
    """Update the server's records to the actual state.

    Removes deleted times, marks runs without a process as crashed, and makes up for missed starts once or drops them,
    depending on the schedule.
    """
    wanted = {BY_TIME: {CRON, EVERY} & set(schedule.names()), BY_DATA: {NEW_DATA} & set(schedule.names())}
    async with get_client() as client:
        for kind, ways in wanted.items():
            try:
                found = await client.read_deployment_by_name(f"retrain/{deployment_name(root, kind)}")
            except ObjectNotFound:
                continue
            if not ways:
                await client.delete_deployment(found.id)
                continue
            for one in found.schedules:
                if one.slug not in ways:
                    await client.delete_deployment_schedule(found.id, one.id)
        living = alive(root)
        for run in await _runs(client, ids, UNDER_WAY):
            if str(run.id) not in living:
                lost: State[Any] = Crashed(message="its process ended with the scheduler's; it reported nothing")
                await client.set_flow_run_state(run.id, lost, force=True)
        if wanted[BY_TIME]:
            await _catch_up(client, ids[0], schedule)


async def _catch_up(client: Any, deployment: UUID, schedule: Schedule) -> None:
    """Drop missed timed starts, except the last one if the schedule says `once`."""
    overdue = datetime.now(UTC) - timedelta(seconds=STALE_S)
    waiting = await _runs(client, [deployment], [StateType.SCHEDULED])
    due = {run.id: run.expected_start_time for run in waiting if run.expected_start_time is not None}
    missed = sorted((run for run in due if due[run] < overdue), key=lambda run: due[run])
    for run in missed[:-1] if schedule.catch_up == "once" else missed:
        text = "missed while nobody served; one later run makes up for it"
        dropped: State[Any] = Cancelled(message=text if schedule.catch_up == "once" else "missed while nobody served")
        await client.set_flow_run_state(run, dropped, force=True)


async def _runs(client: Any, deployments: list[UUID], states: list[StateType]) -> list[FlowRun]:
    if not deployments:
        return []
    found: list[FlowRun] = []
    while True:  # the server answers page by page
        page = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=deployments)),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            offset=len(found),
        )
        if not page:
            return found
        found += page
