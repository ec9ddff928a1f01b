"""The runs of a schedule at Prefect's server: starts them for new data, reports, pauses and removes them."""

import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterName,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import DeploymentStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.types import DateTime

from kshot.flows.at_commit import SKIPPED
from kshot.flows.deployment_holder import Holder, holder_of, is_another
from kshot.flows.deployment_names import ANSWER, BY_DATA, BY_TIME, deployment_name, kinds
from kshot.flows.run_processes import holder
from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA, read, write
from kshot.lifecycle.project.files import exclusive
from kshot.params import project_name

LIMIT_REACHED = "Deployment concurrency limit"  # start of Prefect's reason when a deployment cancels a new run


def of_project(root: Path) -> DeploymentFilter:
    """A filter that selects the deployments of the project at `root`."""
    return DeploymentFilter(
        name=DeploymentFilterName(any_=[*kinds(root)]), tags=DeploymentFilterTags(all_=[project_name.of(root)])
    )


def held_by_another(root: Path, found: Sequence[DeploymentResponse]) -> Holder | None:
    """The other copy of the project that has starts among these deployments of its name; None if they are ours."""
    known = kinds(root)
    for one in found:
        starts = known[one.name] == BY_DATA or (known[one.name] == BY_TIME and one.schedules)
        by = holder_of(one.tags or (), one.parameters or {})
        if starts and by is not None and is_another(root, by, one.status == DeploymentStatus.READY):
            return by
    return None


def start_new(root: Path, seen: new_data.Seen) -> tuple[new_data.Seen, list[str]]:
    """Start a retraining for every data version without one, and check how the others ended; returns messages too.

    A run that was ended from outside is started again, `new_data.ATTEMPTS` times in all. A skipped run, for whatever
    reason, is started again as soon as no other is running: no version is lost.
    """
    lines = []
    with get_client(sync_client=True) as client:
        for version in seen.versions:
            if version.ended is not None:
                continue
            if version.run is None:
                deployment = client.read_deployment_by_name(f"retrain/{deployment_name(root, BY_DATA)}")
                run = client.create_flow_run_from_deployment(
                    deployment.id, parameters={"data": version.md5}, idempotency_key=version.key
                )
                now = dataclasses.replace(version, run=str(run.id))
                why = "is new" if version.attempt == 1 else "is tried again, its retraining was ended from outside"
                why = "is started now, its retraining was skipped" if version.skipped else why
                lines.append(f"data version {version.md5[:8]} {why}: {run.name}")
            else:
                now = _ended(root, version, client)
            if now != version:
                seen = seen.put(now)
                new_data.write(root, seen)
    return seen, lines


def _ended(root: Path, version: new_data.Version, client: Any) -> new_data.Version:
    try:
        state = client.read_flow_run(UUID(version.run)).state
    except ObjectNotFound:
        return dataclasses.replace(version, run=None, attempt=version.attempt + 1)  # the server's records were lost
    if state is None or not state.is_final():
        return version
    if state.is_crashed() and version.attempt < new_data.ATTEMPTS:
        return dataclasses.replace(version, run=None, attempt=version.attempt + 1)
    if state.is_cancelled() and (state.message or "").startswith((SKIPPED, LIMIT_REACHED)):
        return version if holder(root) else dataclasses.replace(version, run=None, skipped=version.skipped + 1)
    return dataclasses.replace(version, ended=state.name)


class News:
    """Reports each change of the scheduled runs once, and stores pauses made on Prefect's pages in the schedule."""

    def __init__(self) -> None:
        self.known: dict[UUID, str] = {}
        self.began = DateTime.now(UTC)

    def look(self, root: Path) -> list[str]:
        """One line for each run that started or ended since the last call."""
        with get_client(sync_client=True) as client:
            known, found = kinds(root), client.read_deployments(deployment_filter=of_project(root))
            keep_pauses(root, {known[deployment.name]: deployment for deployment in found})
            runs = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[one.id for one in found])),
                flow_run_filter=FlowRunFilter(start_time=FlowRunFilterStartTime(after_=self.began)),
            )
        names: dict[UUID | None, str] = {deployment.id: known[deployment.name] for deployment in found}
        lines = []
        for run in sorted(runs, key=lambda run: run.start_time or self.began):
            state = run.state
            if state is None or not (state.is_running() or state.is_final()) or self.known.get(run.id) == state.name:
                continue
            name = self.known[run.id] = str(state.name)
            why = f": {_reason(state.message)}" if state.message and not state.is_completed() else ""
            what = "answer" if names.get(run.deployment_id) == ANSWER else "retraining"
            lines.append(f"{what} {run.name}: {name.lower()}{why}")
        return lines


def _reason(message: str) -> str:
    """The message of a run's state in one line, without Prefect's words before the message of a KshotError."""
    return re.sub(r"^Flow run encountered an exception: \w+: ", "", " ".join(message.split()))


def keep_pauses(root: Path, found: dict[str, Any]) -> None:
    """Store in the schedule what is paused at the server, so that a pause made there survives a restart."""
    with exclusive(root, "schedule"):
        schedule = read(root)
        if schedule is None:
            return
        paused = set()
        if (by_time := found.get(BY_TIME)) is not None:
            paused |= {one.slug for one in by_time.schedules if not one.active or by_time.paused}
        if (by_data := found.get(BY_DATA)) is not None and by_data.paused:
            paused.add(NEW_DATA)
        now = tuple(name for name in schedule.names() if name in paused)
        if set(now) != set(schedule.paused):
            write(root, dataclasses.replace(schedule, paused=now))


def apply_at_server(root: Path, names: tuple[str, ...], action: Literal["pause", "resume", "remove"]) -> None:
    """Carry out `kshot schedule pause`, `resume` or `remove` at the server, not on another copy's deployments."""
    with get_client(sync_client=True) as client:
        for deployment, ways in ((BY_TIME, {CRON, EVERY}), (BY_DATA, {NEW_DATA})):
            try:
                found = client.read_deployment_by_name(f"retrain/{deployment_name(root, deployment)}")
            except ObjectNotFound:
                continue
            if held_by_another(root, [found]) is not None:
                continue
            for one in found.schedules:
                if one.slug in names and action == "remove":
                    client.delete_deployment_schedule(found.id, one.id)
                elif one.slug in names:
                    client.update_deployment_schedule(found.id, one.id, active=action == "resume")
            if NEW_DATA in ways & set(names):
                if action == "pause":
                    client.pause_deployment(found.id)
                else:
                    client.resume_deployment(found.id) if action == "resume" else client.delete_deployment(found.id)
