"""The scheduler at a real Prefect server: missed starts, lost runs, one run a data version."""

import asyncio
import dataclasses
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from kshot.errors import KshotError
from kshot.flows import server
from kshot.flows.at_commit import alone
from kshot.flows.deployment_holder import Holder, holder_of, is_another
from kshot.flows.schedules import own_server, scheduled_runs
from kshot.flows.schedules import schedule as times
from kshot.lifecycle.doctor import copied_state
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.pipeline.new_data import Seen, Version
from kshot.lifecycle.project import no_telemetry, processes
from kshot.lifecycle.servers import server_token
from tests import prefect_database
from tests.lifecycle import raw_project
from tests.lifecycle.pipeline.test_schedule import ALL

A, B = "a" * 32, "b" * 32


@pytest.fixture(scope="module", autouse=True)
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary server, which starts nothing by the clock."""
    root = tmp_path_factory.mktemp("up")
    prefect_database.put(tmp_path_factory, root / no_telemetry.PREFECT_HOME)
    with pytest.MonkeyPatch.context() as patch:
        set_by_launch = ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_UI_URL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE")
        for name in (*set_by_launch, server_token.CLIENT):
            patch.setenv(name, "put back afterwards")
            patch.delenv(name)
        started = server.launch(root)
        assert started is not None
        started.wait()
        known = {PREFECT_API_URL: started.api, PREFECT_API_AUTH_STRING: os.environ[server_token.CLIENT]}
    with temporary_settings(known):
        yield
    processes.end(started.process)


@pytest.fixture
def ids(tmp_path: Path) -> list[UUID]:
    """Both deployments, applied anew."""
    return [deployment.apply() for deployment in times.deployments(tmp_path, ALL)]  # type: ignore[misc]


def begin(deployment: UUID, state: Any) -> UUID:
    with get_client(sync_client=True) as client:
        if state.is_scheduled():
            return client.create_flow_run_from_deployment(deployment, state=state).id
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, state, force=True)
        return run.id


def state_of(run: UUID | str) -> str:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(str(run))).state
        assert state is not None
        return str(state.name)


def hours_ago(*hours: int) -> list[Any]:
    return [Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=one)) for one in hours]


@pytest.mark.parametrize(("rule", "last"), [("once", "Scheduled"), ("never", "Cancelled")])
def test_what_was_missed_is_made_up_for_once_or_dropped(tmp_path: Path, ids: list[UUID], rule: Any, last: str) -> None:
    missed = [begin(ids[0], state) for state in hours_ago(18, 12, 6)]
    coming = begin(ids[0], Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=1)))
    waiting = begin(ids[1], hours_ago(1)[0])  # a data version's run is never dropped
    asyncio.run(times.tidy(tmp_path, dataclasses.replace(ALL, catch_up=rule), ids))
    assert [state_of(run) for run in missed] == ["Cancelled", "Cancelled", last]
    assert state_of(coming) == state_of(waiting) == "Scheduled"


def test_a_run_whose_process_is_gone_is_crashed_and_one_that_lives_is_not(
    tmp_path: Path, ids: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, alive = begin(ids[0], Running()), begin(ids[1], Running())
    monkeypatch.setattr("kshot.flows.at_commit.runtime.flow_run.id", str(alive), raising=False)
    with alone(tmp_path, wait=False):
        asyncio.run(times.tidy(tmp_path, ALL, ids))
    assert (state_of(lost), state_of(alive)) == ("Crashed", "Running")
    asyncio.run(times.tidy(tmp_path, ALL, ids))
    assert state_of(alive) == "Crashed"


def test_what_is_no_longer_scheduled_is_taken_from_the_server(tmp_path: Path, ids: list[UUID]) -> None:
    now = schedule.without(schedule.without(ALL, schedule.CRON), schedule.NEW_DATA)
    asyncio.run(times.tidy(tmp_path, now, ids[:1]))
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(f"retrain/{times.BY_TIME}")
        assert [one.slug for one in found.schedules] == [schedule.EVERY]
        assert {one.name for one in client.read_deployments()} == {times.BY_TIME, "answer"}


def test_a_version_has_one_run_even_if_the_watcher_was_killed_before_it_noted_it(
    tmp_path: Path, ids: list[UUID]
) -> None:
    md5 = uuid4().hex
    seen, said = scheduled_runs.start_new(tmp_path, Seen("f", (Version(md5),)))
    first = seen.versions[0].run
    assert first and md5[:8] in said[0]
    assert new_data.read(tmp_path) == seen
    # Killed between the request and the note: the state on disk has no run yet.
    again, _ = scheduled_runs.start_new(tmp_path, Seen("f", (Version(md5),)))
    assert again.versions[0].run == first


@pytest.mark.parametrize("state", [Completed(), Failed(message="class a has 1 image")])
def test_a_version_whose_run_has_ended_is_done_with(tmp_path: Path, ids: list[UUID], state: Any) -> None:
    run = begin(ids[1], state)
    seen, said = scheduled_runs.start_new(tmp_path, Seen("f", (Version(A, run=str(run)),)))
    assert (seen.versions[0].ended, said) == (state.name, [])


def test_a_run_that_was_ended_from_outside_is_started_again_three_times_in_all(tmp_path: Path, ids: list[UUID]) -> None:
    seen, runs = Seen("f", (Version(uuid4().hex),)), set()
    for _ in range(3):
        seen, _ = scheduled_runs.start_new(tmp_path, seen)
        run = str(seen.versions[0].run)
        runs.add(run)
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(run), Crashed(), force=True)
        seen, _ = scheduled_runs.start_new(tmp_path, seen)
    assert len(runs) == 3
    assert (seen.versions[0].attempt, seen.versions[0].ended) == (3, "Crashed")


SKIPPED = "skipped: the scheduled retraining x was going on"


@pytest.mark.parametrize("reason", [SKIPPED, "Deployment concurrency limit reached."])
def test_a_version_whose_run_was_skipped_is_started_once_the_other_has_ended(
    tmp_path: Path, ids: list[UUID], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr("kshot.flows.at_commit.runtime.flow_run.id", "another", raising=False)
    seen, _ = scheduled_runs.start_new(tmp_path, Seen("f", (Version(uuid4().hex),)))
    first = seen.versions[0].run
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(str(first)), Cancelled(message=reason), force=True)
    with alone(tmp_path, wait=False):
        waiting, said = scheduled_runs.start_new(tmp_path, seen)
        assert (waiting, said) == (seen, [])
    for _ in range(2):
        seen, said = scheduled_runs.start_new(tmp_path, new_data.read(tmp_path))
    again = seen.versions[0]
    assert again.run not in (None, first) and (again.attempt, again.ended) == (1, None)
    assert "is started now, its retraining was skipped" in said[0]
    assert new_data.read(tmp_path) == seen


def test_a_version_whose_run_a_person_cancelled_is_done_with(tmp_path: Path, ids: list[UUID]) -> None:
    run = begin(ids[1], Cancelled(message="not today"))
    seen, _ = scheduled_runs.start_new(tmp_path, Seen("f", (Version(A, run=str(run)),)))
    assert seen.versions[0].ended == "Cancelled"


def test_where_the_clock_skips_new_data_still_waits(tmp_path: Path) -> None:
    by_time, by_data, *_ = times.deployments(tmp_path, dataclasses.replace(ALL, overlap="skip"))
    assert (by_time.parameters["overlap"], by_data.parameters["overlap"]) == ("skip", "wait")
    found = [one.concurrency_options.collision_strategy.value for one in (by_time, by_data)]
    assert found == ["CANCEL_NEW", "ENQUEUE"]


def test_a_pause_at_the_server_is_kept_and_ends_there_too(tmp_path: Path, ids: list[UUID]) -> None:
    schedule.write(tmp_path, ALL)
    scheduled_runs.apply_at_server(tmp_path, (schedule.EVERY, schedule.NEW_DATA), "pause")
    scheduled_runs.News().look(tmp_path)
    kept = schedule.read(tmp_path)
    assert kept is not None and set(kept.paused) == {schedule.EVERY, schedule.NEW_DATA}
    scheduled_runs.apply_at_server(tmp_path, (schedule.EVERY,), "resume")
    scheduled_runs.News().look(tmp_path)
    kept = schedule.read(tmp_path)
    assert kept is not None and kept.paused == (schedule.NEW_DATA,)


def test_two_projects_at_one_server_plan_pause_and_tell_their_own(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("shop", "letters")]
    for root in roots:
        root.mkdir()
        (root / "params.yaml").write_text(f"project: {root.name}\n")
        schedule.write(root, ALL)
    by_root = {root: [one.apply() for one in times.deployments(root, ALL)] for root in roots}  # type: ignore[misc]
    shop, letters = roots
    news = scheduled_runs.News()
    with get_client(sync_client=True) as client:
        by_time = client.read_deployment_by_name("retrain/letters-scheduled")
        assert by_time.tags[0] == "letters" and by_time.parameters["project"] == str(letters)
        run = begin(by_time.id, Running())
        name = client.read_flow_run(run).name
    assert news.look(shop) == [] and news.look(letters) == [f"retraining {name}: running"]
    with get_client(sync_client=True) as client:
        failed = Failed(message="Flow run encountered an exception: StageFailed: the data fails 1 check: few\nimages")
        client.set_flow_run_state(run, failed, force=True)
    assert news.look(letters) == [f"retraining {name}: failed: the data fails 1 check: few images"]

    scheduled_runs.apply_at_server(shop, (schedule.EVERY, schedule.NEW_DATA), "pause")
    asyncio.run(times.tidy(shop, schedule.without(ALL, schedule.CRON), by_root[shop]))  # type: ignore[arg-type]
    for root in roots:
        scheduled_runs.News().look(root)
    kept = [schedule.read(root) for root in roots]
    assert [set(one.paused) for one in kept if one] == [{schedule.EVERY, schedule.NEW_DATA}, set()]
    with get_client(sync_client=True) as client:
        mine, other = (client.read_deployment_by_name(f"retrain/{root.name}-scheduled").schedules for root in roots)
        assert {one.slug for one in mine} == {schedule.EVERY} and {one.slug for one in other} >= {schedule.CRON}
    _, said = scheduled_runs.start_new(letters, Seen("f", (Version(uuid4().hex),)))
    assert len(said) == 1 and scheduled_runs.News().look(shop) == []


def test_another_project_of_one_name_at_the_server_is_told(tmp_path: Path) -> None:
    roots = [raw_project.make(tmp_path / name) for name in ("ours", "theirs")]
    for root in roots:
        (root / "params.yaml").write_text("project: one-name\n")
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, "commit", "-qm", root.name, "--allow-empty"], cwd=root, check=True)
    for deployment in times.deployments(roots[1], ALL):
        deployment.apply()
    own_server.require_own(roots[1], "http://127.0.0.1/api")
    with pytest.raises(KshotError, match=r"^another project called one-name is at http[^\n]*another name[^\n]*$"):
        own_server.require_own(roots[0], "http://127.0.0.1/api")


def one_project_twice(folder: Path) -> list[Path]:
    """A project and a clone of it."""
    ours = raw_project.make(folder / "ours")
    (ours / "params.yaml").write_text("project: cloned\n")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "add", "params.yaml"], cwd=ours, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "named"], cwd=ours, check=True)
    subprocess.run(["git", "clone", "-q", ours, folder / "clone"], check=True)
    return [ours, folder / "clone"]


def test_a_clone_does_not_replace_nor_remove_the_schedule_of_the_other(tmp_path: Path) -> None:
    ours, clone = one_project_twice(tmp_path)
    for deployment in times.deployments(ours, ALL):
        deployment.apply()
    own_server.require_own(ours, "http://127.0.0.1/api")
    told = (
        rf"^http\S* has a schedule of another copy of this project, in {ours} on [^\n]* `kshot schedule remove` there"
    )
    with pytest.raises(KshotError, match=told):
        own_server.require_own(clone, "http://127.0.0.1/api")

    scheduled_runs.apply_at_server(clone, ALL.names(), "remove")
    with get_client(sync_client=True) as client:
        assert len(client.read_deployment_by_name("retrain/cloned-scheduled").schedules) == 2
        assert not client.read_deployment_by_name("retrain/cloned-new-data").paused
    scheduled_runs.apply_at_server(ours, ALL.names(), "remove")
    own_server.require_own(clone, "http://127.0.0.1/api")


def test_a_moved_project_has_its_schedule_and_a_clone_has_that_of_a_folder_that_is_gone(tmp_path: Path) -> None:
    ours, clone = one_project_twice(tmp_path)
    for deployment in times.deployments(ours, ALL):
        deployment.apply()
    moved = ours.rename(tmp_path / "moved")
    copied_state.adopt(moved)  # kshot doctor --mend
    own_server.require_own(moved, "http://127.0.0.1/api")
    own_server.require_own(clone, "http://127.0.0.1/api")


def test_the_same_folder_of_another_machine_is_ours_unless_it_is_served(tmp_path: Path) -> None:
    """A container has another machine's name each time, and two machines may have one folder."""
    root = raw_project.make(tmp_path / "root").resolve()
    there = Holder("0123", "elsewhere", root)
    assert is_another(root, there, is_served=True) and not is_another(root, there, is_served=False)
    assert is_another(root, there._replace(folder=tmp_path), is_served=False)


def test_what_an_older_version_applied_is_of_the_folder_that_it_names(tmp_path: Path) -> None:
    ours, clone = one_project_twice(tmp_path)
    old = holder_of(["cloned"], {"project": str(ours)})
    assert old is not None and is_another(clone, old, is_served=False) and not is_another(ours, old, is_served=True)
    ours.rename(tmp_path / "moved")
    assert not is_another(clone, old, is_served=False)
