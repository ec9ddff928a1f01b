"""One project's schedule, run once and checked by many tests: served by a real Prefect server, started by the clock
and by new data, stopped, served again, its server killed, and a failed retraining that people are notified of."""

import dataclasses
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from mlflow.tracking import MlflowClient

from kshot.flows import notify
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.pipeline import new_data
from tests.flows.project import REPOSITORY, SETTINGS, Ended, draw_classes, kshot, make_project, stretch
from tests.flows.served import serving, webhook

pytestmark = pytest.mark.journeys

OWN_STEP = "a step of our own"
CRASHING = 'raise RuntimeError("an edit that no commit has")\n'


def runs(root: Path) -> list[tuple[str, str, str]]:
    """Deployment, state and its message of each flow run that began, oldest first, from the server's database."""
    query = """select deployment.name, flow_run.state_name, coalesce(flow_run_state.message, '') from flow_run
        join deployment on deployment.id = flow_run.deployment_id
        left join flow_run_state on flow_run_state.id = flow_run.state_id
        where flow_run.start_time is not null order by flow_run.start_time"""
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db", timeout=30)) as database:
        return [(str(a), str(b), str(c)) for a, b, c in database.execute(query)]


def begun(root: Path) -> list[tuple[str, str]]:
    """Flow runs that a pause does not hold back: the scheduler has taken them up, with or without their process yet."""
    query = "select name, state_name from flow_run where state_type in ('PENDING', 'RUNNING', 'CANCELLING')"
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db", timeout=30)) as database:
        return [(str(a), str(b)) for a, b in database.execute(query)]


def server(root: Path) -> psutil.Process:
    return psutil.Process(json.loads((root / ".kshot/prefect/server.json").read_text())["pid"])


def client(root: Path) -> MlflowClient:
    address = f"sqlite:///{root}/mlruns/mlflow.db"
    return MlflowClient(address, registry_uri=address)


@dataclasses.dataclass
class Story:
    root: Path
    first: str = ""  # what the first serving said
    second: str = ""
    refused: Ended | None = None  # a second `kshot schedule` beside the first
    listed: str = ""
    paused: Ended | None = None
    commit: str = ""
    runs_of_first: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    seen_of_first: new_data.Seen = dataclasses.field(default_factory=new_data.Seen)
    servers: int = 0
    left: list[str] = dataclasses.field(default_factory=list)
    heard: list[dict[str, str]] = dataclasses.field(default_factory=list)
    brought_back: dict[str, str] = dataclasses.field(default_factory=dict)  # by the last run that came through


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = make_project(tmp_path_factory.mktemp("scheduled"))
    text, _ = settings.plan(root, overlay=root / "overlay.yaml", sets=[one for one in SETTINGS if one != "--set"])
    settings.write(root, text)
    write_flow_with_a_step(root)
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "add", "flows"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qam", "small"], cwd=root, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
    told = Story(root, commit=commit)
    source = draw_classes(root.parent / "incoming")
    for edited in ("src/kshot/training/loop.py", "flows/retrain.py"):
        (root / edited).write_text(CRASHING)  # it must not slip into any run
    with webhook(told.heard) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv(notify.NAME, address)
        with serving(
            root, "--every", "60s", "--overlap", "skip", "--on-new-data", str(source), "--poll", "1s"
        ) as first:
            first.until_said("Ctrl-C ends it")
            first.until(lambda: completed(root, "new-data"), "the retraining of the new data")
            told.refused = kshot(root, "schedule", "--every", "1h")
            told.servers = len(servers(root))
            told.listed = kshot(root, "schedule", "list").out
            server(root).kill()
            first.until_said("starting it again")
            before = len(completed(root, "scheduled"))
            first.until(lambda: len(completed(root, "scheduled")) > before, "a start by the clock")
        told.first, told.seen_of_first = first.said(), new_data.read(root)
        told.runs_of_first = runs(root)
        told.left = [" ".join(one.cmdline()) for one in servers(root)]
        with serving(root) as second:
            before = len(completed(root, "scheduled"))
            second.until(lambda: len(completed(root, "scheduled")) > before, "a start by the clock after the restart")
            told.brought_back = {
                name: (root / "reports/scheduled" / name).read_text() for name in ("report.html", "dvc.lock")
            }
            # Or the clock would try the broken data too.
            told.paused = kshot(root, "schedule", "pause", "every")
            second.until(lambda: not begun(root), "the end of what was begun")
            stretch(source / "group1/class03/00.png")
            second.until(lambda: [run for run in runs(root) if run[1] == "Failed"], "the retraining of broken data")
            second.until(lambda: of_broken_data(told.heard), "the notification")
        told.second = second.said()
    return told


def write_flow_with_a_step(root: Path) -> None:
    """The project's own flow: the shipped one, and one step more."""
    shipped, after = (REPOSITORY / "flows/retrain.py").read_text(), "        version = steps.register(run)\n"
    assert after in shipped
    (root / "flows").mkdir()
    (root / "flows/retrain.py").write_text(shipped.replace(after, f'{after}        steps.say("{OWN_STEP}")\n'))


def said_by_the_runs(root: Path, text: str) -> int:
    with closing(sqlite3.connect(root / ".kshot/prefect/prefect.db")) as database:
        (count,) = database.execute("select count(*) from log where message = ?", (text,)).fetchone()
    return int(count)


def of_broken_data(heard: list[dict[str, str]]) -> list[dict[str, str]]:
    """What was heard of the broken data; a run that had just begun when its server was killed is told as crashed."""
    return [one for one in heard if "Process exited" not in one["reason"]]


def completed(root: Path, deployment: str) -> list[tuple[str, str, str]]:
    return [run for run in runs(root) if run[0] == deployment and run[1] == "Completed"]


def servers(root: Path) -> list[psutil.Process]:
    """The Prefect servers of this project that are up."""
    home = str(root / ".kshot/prefect")
    found = []
    for one in psutil.process_iter():
        try:
            if "prefect_server.py" in " ".join(one.cmdline()) and one.environ().get("PREFECT_HOME") == home:
                found.append(one)
        except psutil.Error:
            continue
    return found


def test_new_data_starts_one_retraining_and_a_restart_does_not_repeat_it(story: Story) -> None:
    (version,) = story.seen_of_first.versions
    assert version.ended == "Completed"
    assert [run[:2] for run in story.runs_of_first if run[0] == "new-data"] == [
        ("new-data", "Completed"),
    ]
    assert f"data version {version.md5[:8]}" not in story.second


def test_every_scheduled_retraining_runs_the_project_s_own_step(story: Story) -> None:
    done = [run for run in runs(story.root) if run[1] == "Completed"]
    assert len(done) >= 3 and said_by_the_runs(story.root, OWN_STEP) >= len(done)


def test_the_clock_starts_retrainings_by_itself(story: Story) -> None:
    assert [run for run in story.runs_of_first if run[0] == "scheduled" and run[1] == "Completed"]


def test_a_second_scheduler_is_refused_and_no_second_server_starts(story: Story) -> None:
    assert story.refused is not None and story.refused.code == 8
    assert "`kshot schedule` (process " in story.refused.err
    assert story.servers == 1


def test_the_server_that_ended_is_started_again_and_none_is_left(story: Story) -> None:
    assert "Prefect's server has ended; starting it again" in story.first
    assert story.left == []


def test_the_list_says_what_is_due_and_who_serves(story: Story) -> None:
    assert re.search(r"every +1m, counted from .*\n +next \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", story.listed)
    listed = " ".join(story.listed.split())
    assert re.search(r"new-data \S+incoming, looked at every 1s; it replaces the data whole last \w{8}", listed)
    assert "served by process" in story.listed


def test_an_edit_in_the_project_does_not_slip_in_and_the_model_names_the_commit(story: Story) -> None:
    assert (story.root / "src/kshot/training/loop.py").read_text() == CRASHING
    version = client(story.root).get_model_version("kshot", "1")
    assert version.tags["kshot.git_commit"] == story.commit
    assert version.tags["kshot.git_dirty"] == "false"
    assert version.tags["kshot.data_version"] == story.seen_of_first.versions[0].md5


def test_nothing_that_a_person_works_with_is_changed_and_the_report_is_there(story: Story) -> None:
    assert not (story.root / "model").exists() and not (story.root / "dvc.lock").exists()
    assert "</html>" in story.brought_back["report.html"] and "stages:" in story.brought_back["dvc.lock"]
    assert not (story.root / ".kshot/worktree").exists()


def test_a_pause_holds_at_the_server_and_in_the_list(story: Story) -> None:
    assert story.paused is not None and story.paused.out == "every: paused\n"
    assert re.search(r"every +1m, counted from .*\n +paused", kshot(story.root, "schedule", "list").out)
    with closing(sqlite3.connect(story.root / ".kshot/prefect/prefect.db")) as database:
        assert database.execute("select active from deployment_schedule where slug = 'every'").fetchone() == (0,)


def test_broken_data_fails_with_its_reason_at_prefect_mlflow_and_the_webhook(story: Story) -> None:
    (failed,) = [run for run in runs(story.root) if run[1] == "Failed"]
    assert failed[0] == "new-data" and "group1/class03" in failed[2]
    broken = new_data.read(story.root).versions[-1].md5
    (run,) = client(story.root).search_runs(["1"], f"status = 'FAILED' and tags.`kshot.data_version` = '{broken}'")
    assert "group1/class03" in run.data.tags["kshot.failure"]
    assert "group1/class03" in of_broken_data(story.heard)[0]["reason"]


def test_broken_data_is_not_tried_again(story: Story) -> None:
    assert len([run for run in runs(story.root) if run[1] == "Failed"]) == 1
    assert len(of_broken_data(story.heard)) == 1
    shutil.rmtree(story.root / ".kshot/prefect")
