"""Hanging and late runs in real records of Prefect, read from the database and from a server."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from kshot.errors import KshotError
from kshot.flows import doctor, run_processes, server
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import no_telemetry, processes, project_lock
from kshot.lifecycle.servers import server_token
from tests import prefect_database
from tests.lifecycle.doctor.test_runs import begin, dead_process
from tests.lifecycle.pipeline.test_schedule import ALL


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose Prefect knows a run that a person started and one by the clock, neither of which ever ended,
    and a start by the clock that nobody made; its server is up."""
    root = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PREFECT_HOME", "PREFECT_API_URL", server_token.CLIENT):
            patch.setenv(name, "put back afterwards")
            patch.delenv(name)
        patch.setenv("PREFECT_SERVER_REGISTER_BLOCKS_ON_START", "0")  # for its pages, 1 s
        home = no_telemetry.keep_prefect_in(root)
        prefect_database.put(tmp_path_factory, home)
        up = server.start_lasting(home, server.free_port(4300))
        try:
            up.wait()
            server.use(home, up.api)
            _record(root, up.api, server_token.token(home))
            yield root
        finally:
            processes.end(up.process, grace_s=3.0)
            server.forget(home)


def _record(root: Path, api: str, token: str) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
    from prefect.states import Running, Scheduled

    @flow(name="retrain")
    def retrain(root: str = "", project: str = "") -> None: ...

    known = {PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: token}
    with temporary_settings(known), get_client(sync_client=True) as client:
        flow_id = client.create_flow(retrain)
        by_clock = UUID(str(client.create_deployment(flow_id, name="scheduled", tags=["kshot"])))
        client.create_flow_run(retrain, parameters={"root": str(root)}, name="by-hand", state=Running())
        running = {"parameters": {"project": str(root)}, "state": Running(), "name": "by-clock"}
        client.create_flow_run_from_deployment(by_clock, **running)
        due = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=1))
        client.create_flow_run_from_deployment(by_clock, parameters={"project": str(root)}, state=due, name="late")


@pytest.fixture
def root(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project; its records are read from the database."""
    monkeypatch.setenv("PREFECT_HOME", str(recorded / no_telemetry.PREFECT_HOME))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    schedule.write(recorded, ALL)
    return recorded


def found(root: Path, check: str) -> list[Finding]:
    return [finding for finding in doctor.findings(root) if finding.check == check]


def test_a_start_that_is_late_although_somebody_serves_is_told(root: Path) -> None:
    assert found(root, "schedule") == []  # nobody serves, and another check says so
    with project_lock.hold(root, "kshot schedule", project_lock.SERVING):
        (finding,) = found(root, "schedule")
        assert finding.must and finding.found.startswith("starts of cron, every are late (1, the first was due")
        schedule.write(root, schedule.pause(ALL, ALL.names(), True))
        assert found(root, "schedule") == []


def test_a_schedule_without_a_next_start_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sqlalchemy 2.1 leaves: all is served and nothing is planned."""
    monkeypatch.setattr(doctor, "RUNS", f"{doctor.RUNS} and flow_run.name <> 'late'")
    with project_lock.hold(root, "kshot schedule", project_lock.SERVING):
        assert found(root, "schedule") == []  # it has only begun to serve
        monkeypatch.setattr(doctor, "PLANNED_S", -1.0)
        (finding,) = found(root, "schedule")
    assert "no next start is planned" in finding.found


def test_runs_whose_process_is_gone_are_told(root: Path) -> None:
    (finding,) = found(root, "runs")
    assert finding.found.startswith("Running in Prefect though the process is gone: ") and "by-hand" in finding.found
    with project_lock.hold(root, "kshot schedule", project_lock.SERVING):
        assert found(root, "runs")[0].found.endswith(": by-hand")
    time.sleep(1)  # the lock says when to the second
    with project_lock.hold(root, "kshot retrain"):  # which began later
        assert len(found(root, "runs")) == 1


def test_a_run_that_lives_on_after_its_scheduler_is_not_gone(root: Path) -> None:
    with closing(sqlite3.connect(root / no_telemetry.PREFECT_HOME / "prefect.db")) as records:
        (by_clock,) = records.execute("select id from flow_run where name = 'by-clock'").fetchone()
    # As Prefect's runner starts one: its module, and the run's id in the environment.
    (root / "prefect").mkdir()
    (root / "prefect/__init__.py").touch()
    (root / "prefect/engine.py").write_text("import time; print('on', flush=True); time.sleep(600)\n")
    names = {**os.environ, run_processes.ID: str(UUID(by_clock)), "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "prefect.engine"]
    with subprocess.Popen(command, env=names, cwd=root, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == b"on\n"
        assert found(root, "runs")[0].found.endswith(": by-hand")
        process.kill()
    assert "by-clock" in found(root, "runs")[0].found


def test_a_server_that_is_down_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(KshotError, match=r"Prefect's server http://127\.0\.0\.1:9/api does not answer; start it, or"):
        doctor.findings(root)


def test_of_a_server_only_what_mlflow_knows_of_this_machine_is_judged_and_mended(
    root: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the command imports prefect: another test may have imported it with other settings.
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    home = recorded / no_telemetry.PREFECT_HOME
    api = server.running(home)
    assert api is not None
    monkeypatch.setenv("PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: server_token.token(home)}):
        _judged_and_mended(root)


def _judged_and_mended(root: Path) -> None:
    assert found(root, "runs") == []  # a process of another machine may work on them
    database = root / no_telemetry.PREFECT_HOME / "prefect.db"
    with closing(sqlite3.connect(database)) as records:
        (flow_run,) = records.execute("select id from flow_run where name = 'by-hand'").fetchone()
    begin(root, dead_process(), tags={"kshot.prefect_flow_run": flow_run})
    (finding,) = found(root, "runs")
    assert finding.found.endswith(": by-hand") and finding.by_itself is not None
    assert finding.by_itself() == f"Crashed in Prefect now: {flow_run}"
    with closing(sqlite3.connect(database)) as records:
        states = dict(records.execute("select name, state_name from flow_run").fetchall())
    assert states["by-hand"] == "Crashed" and states["by-clock"] == "Running"
    assert found(root, "runs") == []
