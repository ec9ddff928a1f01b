"""Refusals before anything is served, one line each; what the watch records, and when."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ObjectNotFound

from kshot import cli
from kshot.errors import Busy, KshotError
from kshot.flows import server
from kshot.flows.schedules import new_data_watch, own_server, prefect_runner, scheduler_process
from kshot.flows.schedules import schedule as times
from kshot.flows.schedules.schedule_text import whole
from kshot.lifecycle.pipeline import new_data, schedule, schedule_changes
from kshot.lifecycle.pipeline.schedule_changes import Changes, changed
from kshot.lifecycle.project import project_lock
from tests.lifecycle import raw_project
from tests.lifecycle.pipeline.test_schedule import ALL


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with git and DVC, and the working directory in it."""
    made = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--every", "6"], "'6' is no duration; write it like 30s"),
        (["--every", "1s"], "--every 1s is too often; needs 10s or more"),
        (["--on-new-data", "--poll", "0s"], "--poll 0s is too often; needs 1s or more"),
        (["--every", "0h"], "--every 0h is too often; needs 10s or more"),
        (["--every", "60w"], "--every 60w is over a year; needs 366d or less"),
        (["--every", "6h", "--timezone", "Mars/Base"], "'Mars/Base' is no time zone"),
        (["--every", "6h", "--timezone", "europe/berlin"], "is no time zone; did you mean Europe/Berlin?"),
        (["--every", "6h", "--ref", ""], "--ref is empty: perhaps a variable in it is not set"),
        (["--on-new-data", ""], "--on-new-data is empty: perhaps a variable in it is not set"),
        (["--on-new-data", "."], "holds this project itself; needs a folder that has only images"),
        (["--on-new-data", "data/raw"], "is where the project keeps its data; `kshot schedule --on-new-data` without"),
        (["--on-new-data", "--overlap", "skip"], "--overlap is of starts by the clock; needs --cron or --every too"),
        (["--on-new-data", "--data", "0000"], "--data would never be used: new data starts a retraining on itself"),
        (["--every", "6h", "--poll", "5s"], "--poll says how often to look for new data; needs --on-new-data too"),
        (["--cron", "xx"], "'xx' is no cron line; needs five fields"),
        (["--cron", "0 3 30 2 *"], "'0 3 30 2 *' never comes"),
        (["--on-new-data", "nowhere"], "nowhere is not there"),
        (["--every", "6h", "--set", "train.steps=0"], "train.steps is 0; needs at least 1"),
        (
            ["--every", "6h", "--data", "0000"],
            "'0000' is no data version here: there is none yet; `kshot data add SOURCE` makes one",
        ),
        (
            ["--on-new-data", "--if-drifted"],
            "--if-drifted says which new data is retrained; needs --on-new-data SOURCE",
        ),
        (["--overlap", "skip"], "--overlap says how; needs --cron, --every or --on-new-data too"),
        ([], "nothing is scheduled yet; needs --cron LINE"),
        (["pause"], "nothing is scheduled, so there is nothing to pause; `kshot schedule --cron"),
    ],
)
def test_bad_input_is_one_line_and_keeps_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main(["schedule", *arguments]) != 0
    printed, error = capsys.readouterr()
    assert told in error and error.count("\n") == 1 and printed == ""
    assert schedule.read(root) is None


@pytest.mark.parametrize(
    "line",
    ["", "0 3 * *", "61 3 * * 1", "every day", "R 3 * * 1", "0 3 * * 1 30", "0 3 1 1 * 0 2020", "@reboot"],
)
def test_what_is_no_cron_line_is_refused_with_an_example(line: str) -> None:
    with pytest.raises(KshotError, match=r"is no cron line; needs five fields, .* such as '0 3 \* \* 1'"):
        times.timetable(dataclasses.replace(ALL, cron=line))


def test_a_start_that_never_comes_is_refused() -> None:
    for line in ("0 3 30 2 *", "0 3 31 4,6 *"):
        with pytest.raises(KshotError, match=r"never comes: no such day is in any year"):
            times.next_start(dataclasses.replace(ALL, cron=line), schedule.CRON)
    leap = times.next_start(dataclasses.replace(ALL, cron="0 3 29 2 *"), schedule.CRON)
    assert leap is not None and (leap.month, leap.day) == (2, 29)


def test_a_project_without_a_commit_is_refused(root: Path) -> None:
    with pytest.raises(KshotError, match="'HEAD' is no commit of"):
        times.check(root, dataclasses.replace(ALL, ref=None))


def test_uncommitted_changes_are_told_before_a_schedule_is_served(root: Path) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run([*git, "add", "."], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "one"], cwd=root, check=True)
    wanted = dataclasses.replace(ALL, ref=None)
    assert [line for line in times.check(root, wanted) if "uncommitted" in line] == []
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "\n# an edit\n")
    assert times.check(root, wanted)[-1] == ("uncommitted changes are not used by scheduled runs; commit them first")


def test_a_server_that_is_down_is_named_with_how_long_it_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "PATIENCE_S", 0.5)
    with pytest.raises(
        KshotError, match=r"http://127\.0\.0\.1:1/api did not answer, tried for \d+ s; start it, or unset"
    ):
        own_server.wait_for("http://127.0.0.1:1/api")


def test_the_times_bear_the_zone_the_interval_its_beginning_and_pauses_hold() -> None:
    cron, every = times.timetable(schedule.pause(ALL, (schedule.EVERY,), True))
    assert (cron.cron, cron.timezone, cron.active, cron.slug) == ("0 3 * * 1", "Europe/Berlin", True, "cron")
    assert (every.anchor_date.isoformat(), every.active, every.slug) == (ALL.since, False, "every")


def test_an_interval_is_due_where_it_began_and_a_cron_line_in_its_zone() -> None:
    every, cron = times.next_start(ALL, schedule.EVERY), times.next_start(ALL, schedule.CRON)
    assert every is not None and (every.timestamp() - 1795255200) % ALL.every_s == 0  # 2026-11-21 10:00 UTC
    assert cron is not None and (cron.weekday(), cron.hour, cron.minute) == (0, 3, 0)
    assert times.next_start(ALL, schedule.NEW_DATA) is None


@pytest.mark.parametrize(
    ("name", "change", "starts"),
    [
        (schedule.EVERY, {"every_s": 86_400.0}, ["10-24 14:00 +0200", "10-25 14:00 +0100"]),
        (schedule.EVERY, {"every_s": 43_200.0}, ["10-24 14:00 +0200", "10-25 02:00 +0200"]),
        (schedule.CRON, {"cron": "30 2 * * *"}, ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
    ],
)
def test_starts_are_shown_as_they_come_where_clocks_change(
    monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any], starts: list[str]
) -> None:
    """Prefect keeps the time of day of a start every day, and the distance of more frequent ones."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls(2026, 10, 24, 13, 0, tzinfo=tz)

    monkeypatch.setattr(times, "datetime", Then)
    berlin = dataclasses.replace(ALL, since="2026-10-20T12:00:00+00:00", timezone="Europe/Berlin", **change)
    assert [f"{at:%m-%d %H:%M %z}" for at in times.next_starts(berlin, name, 2)] == starts


def test_a_schedule_is_listed_paused_and_removed_while_nobody_serves(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["schedule", "list"]) == 0
    assert "nothing is scheduled" in capsys.readouterr().out
    schedule.write(root, ALL)
    assert cli.main(["schedule", "pause", "every"]) == 0
    assert cli.main(["schedule", "remove", "cron"]) == 0
    capsys.readouterr()
    assert cli.main(["schedule", "list"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^  every +6h, counted from 2026-11-21 11:00:00 CET\n +paused; ", shown, re.MULTILINE)
    assert "not served now" in shown and "0 3 * * 1" not in shown and "train.steps=20" in shown
    assert cli.main(["schedule", "remove", "set", "ref"]) == 0
    assert cli.main(["schedule", "remove"]) == 0
    assert capsys.readouterr().out == "set, ref: removed\nevery, new-data: removed\n"


@pytest.mark.parametrize("width", [80, 60])
def test_the_whole_schedule_is_shown_and_fits(root: Path, width: int) -> None:
    subprocess.run(["git", "remote", "add", "origin", "."], cwd=root, check=True)
    text = whole(root, dataclasses.replace(ALL, cron="0 3 1 * 1", paused=(schedule.NEW_DATA,)), width)
    assert max(map(len, text.splitlines())) <= width
    said = " ".join(text.split())
    for part in (
        "0 3 1 * 1 in Europe/Berlin starts on each day that either the day or the weekday names",
        "every 6h",
        "looked at every 1m; it replaces the data whole paused; `kshot schedule resume new-data` continues",
        "commit origin/main, fetched before each run",
        "settings train.steps=20",
        "missed one start makes up for all",
        "overlap a start during a retraining waits",
    ):
        assert part in said
    assert len(re.findall(r"\d{4}-\d\d-\d\d 03:00:00 CES?T", said)) == 3


def test_what_is_removed_while_the_server_starts_stays_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule.write(root, changed(None, Changes(every="6h", cron="0 3 * * 1")))

    @contextlib.contextmanager
    def slow(root: Path) -> Iterator[Callable[[scheduler_process.Say], None]]:
        schedule.write(root, schedule_changes.without(schedule_of(root), "every"))  # meanwhile, in another terminal
        yield lambda say: (_ for _ in ()).throw(KeyboardInterrupt)

    monkeypatch.setattr(scheduler_process, "one_server", slow)
    monkeypatch.setattr(times, "check", lambda *_: [])
    with pytest.raises(KeyboardInterrupt):
        scheduler_process.serve(root, Changes(overlap="skip"), lambda _: None)
    assert (schedule_of(root).names(), schedule_of(root).overlap) == (("cron",), "skip")


def schedule_of(root: Path) -> schedule.Schedule:
    found = schedule.read(root)
    assert found is not None
    return found


def test_a_branch_with_a_slash_is_fetched_only_from_a_remote(root: Path) -> None:
    found = changed(None, Changes(every="6h", ref="feature/x"))
    assert "feature/x" in whole(root, found) and "fetched" not in whole(root, found)
    subprocess.run(["git", "remote", "add", "feature", "."], cwd=root, check=True)
    assert "feature/x, fetched before each run" in whole(root, found)


def test_the_scheduler_survives_a_deployment_that_is_gone_and_a_process_that_ended() -> None:
    said: list[str] = []
    with scheduler_process.warned_once(said.append):
        raise ObjectNotFound(Exception("404"))
    with scheduler_process.warned_once(said.append):
        pass
    assert len(said) == 2 and said[0].endswith("tried again")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie, as nobody has asked for its status
        prefect_runner.end_runs()


def test_a_second_scheduler_is_told_who_serves(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with project_lock.hold(root, "kshot schedule", project_lock.SERVING):
        assert project_lock.holder(root, project_lock.SERVING) is not None
        with pytest.raises(Busy):
            _from_another_process(root)
    assert project_lock.holder(root, project_lock.SERVING) is None


def _from_another_process(root: Path) -> None:
    from tests.flows.project import kshot

    ended = kshot(root, "schedule", "--every", "1h")
    if ended.code == Busy.exit_code:
        assert f"`kshot schedule` (process {os.getpid()})" in ended.err
        raise Busy(ended.err)


def test_content_is_added_only_once_it_rests_and_only_once(root: Path, tmp_path: Path) -> None:
    source = raw_project.write_tree(tmp_path / "source", {"a": 2, "b": 2})
    watch = new_data_watch.Watch(root, print)
    watch.add(source)
    raw_project.write_tree(source, {"c": 2})  # the copy goes on
    watch.add(source)
    assert watch.seen == new_data.Seen()
    watch.add(source)
    (version,) = watch.seen.versions
    assert version.md5 == new_data.of_project(root) and version.run is None
    # A new process knows it, and the same content is no news.
    again = new_data_watch.Watch(root, print)
    again.add(source)
    again.add(source)
    assert again.seen == watch.seen


def test_where_only_drift_counts_other_content_is_not_added_and_looked_at_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def drifted(_: Path, source: Path) -> new_data.Drift:
        asked.append(source)
        return new_data.Drift(len(asked) > 1, "words")

    monkeypatch.setattr(new_data, "drifted", drifted)
    source, said = raw_project.write_tree(tmp_path / "source", {"a": 2, "b": 2}), []
    watch = new_data_watch.Watch(root, said.append)
    for _ in range(4):
        watch.add(source, if_drifted=True)
    assert len(asked) == 1 and said == [f"{source}: words"]
    assert watch.seen.versions == () and new_data.of_project(root) is None
    again = new_data_watch.Watch(root, said.append)  # a restart asks no second time
    for _ in range(2):
        again.add(source, if_drifted=True)
    assert len(asked) == 1
    raw_project.write_tree(source, {"c": 2})
    for _ in range(3):
        again.add(source, if_drifted=True)
    (version,) = again.seen.versions
    assert len(asked) == 2 and version.md5 == new_data.of_project(root)


def test_without_a_champion_all_is_new(root: Path, tmp_path: Path) -> None:
    assert new_data.drifted(root, tmp_path) == (True, "there is no champion yet, so all of it is new")


def test_content_that_is_refused_is_said_once_and_looked_at_again_when_it_changes(root: Path, tmp_path: Path) -> None:
    source, said = raw_project.write_tree(tmp_path / "source", {"a": 2, "b": 2}), []
    (source / "empty").mkdir()
    watch = new_data_watch.Watch(root, said.append)
    for _ in range(3):
        with scheduler_process.warned_once(said.append):
            watch.add(source)
    (line,) = [one for one in said if one.startswith("new data is refused, and looked at again when")]
    assert "class empty comes out empty" in line
    watching = changed(None, Changes(on_new_data=str(source)))
    assert "its content is refused: class empty comes out empty" in " ".join(whole(root, watching).split())
    (source / "empty").rmdir()  # no file changes, and yet the source is another one
    watch.add(source)
    watch.add(source)
    assert len(watch.seen.versions) == 1 and said[-1].endswith(": 4 images, 2 classes from source")
    assert "its content is refused" not in whole(root, watching)
    for count in (2, 3):  # content that was refused, and the content before it again
        (source / "empty").mkdir()
        watch.add(source)
        watch.add(source)
        assert "its content is refused" in whole(root, watching)
        assert sum(line.startswith("new data is refused") for line in said) == count
        (source / "empty").rmdir()
        watch.add(source)
        watch.add(source)
        assert "its content is refused" not in whole(root, watching) and len(watch.seen.versions) == 1


def test_a_note_of_a_server_that_is_gone_leads_nowhere(tmp_path: Path) -> None:
    assert server.running(tmp_path) is None
    (tmp_path / server.NOTE).write_text('{"api": "http://127.0.0.1:1/api", "pid": 999999}')
    assert server.running(tmp_path) is None
    server.end_left_behind(tmp_path)
    assert not (tmp_path / server.NOTE).exists()


def test_two_schedulers_that_start_at_once_take_different_ports() -> None:
    first = server.claim_port(4900)
    code = "from kshot.flows import server; print(server.claim_port(4900))"
    names = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", code], env=names, capture_output=True, text=True, check=True)
    assert int(other.stdout) > first >= 4900


def test_a_server_that_ends_while_it_is_asked_is_started_again_and_one_that_never_was_well_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))  # put back afterwards, as the address is
    monkeypatch.setenv("PREFECT_API_URL", "")
    started: list[server.Server] = []

    def start(home: Path, port: int) -> server.Server:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        started.append(server.Server(process, port, home / "server.log"))
        return started[-1]

    def ends_while_asked(api: str) -> bool:
        asked.append(len(started))
        if len(asked) == 2:
            started[0].process.kill()
            started[0].process.wait()
            return False
        return True

    asked: list[int] = []
    said: list[str] = []
    monkeypatch.setattr(server, "start_lasting", start)
    monkeypatch.setattr(server, "responds", ends_while_asked)
    with own_server.one_server(tmp_path) as keep:
        keep(said.append)
        assert said == []
        keep(said.append)
    assert len(started) == 2 and asked == [1, 1, 2]
    assert ["starting it again" in line for line in said] == [True]
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setattr(server, "responds", lambda api: started[-1].process.kill() or started[-1].process.wait() == 0)
    with (
        own_server.one_server(tmp_path) as keep,
        pytest.raises(KshotError, match="server did not start; its last lines"),
    ):
        keep(said.append)
    assert len(started) == 3 and len(said) == 1


def test_a_scheduler_that_imported_prefect_before_uses_the_server_that_it_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect would start a second one, which answers every web page; checking a cron line imports prefect."""
    import prefect.context
    from prefect.settings import PREFECT_API_URL

    def start_lasting(home: Path, port: int) -> server.Server:
        asleep = subprocess.Popen(["sleep", "60"], start_new_session=True)
        return server.Server(asleep, port, home / "log")

    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(prefect.context, "GLOBAL_SETTINGS_CONTEXT", prefect.context.GLOBAL_SETTINGS_CONTEXT)
    monkeypatch.setattr(server, "start_lasting", start_lasting)
    with own_server.one_server(root):
        assert PREFECT_API_URL.value() == os.environ["PREFECT_API_URL"]
