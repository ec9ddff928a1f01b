"""The process of `kshot schedule`: a scheduling Prefect server, the runner, and the watch for new data."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from kshot.errors import Busy, DataError, KshotError
from kshot.flows import server
from kshot.flows.deployment_names import OWNER
from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline import schedule as schedules
from kshot.lifecycle.pipeline.schedule import NEW_DATA, Schedule
from kshot.lifecycle.pipeline.schedule_changes import Changes, changed
from kshot.lifecycle.project import no_telemetry, notify, processes
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.project.first_commits import another, first_commits
from kshot.params import project_name
from kshot.redaction import shareable

PATIENCE_S = 30.0  # time to wait for a server that another process runs
GRACE_S = 60.0  # time for a stopped training to write its checkpoint and end
LOOK_S = 5.0  # interval between checks of the runs, the pauses and the server

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

Say = Callable[[str], None]


def serve(root: Path, asked: Changes, say: Say) -> None:
    """Store the schedule with the changes `asked` and serve it until Ctrl-C, or until nothing is scheduled any more.

    Raises KshotError if the server that PREFECT_API_URL names does not answer, and if the schedule is refused; the
    stored schedule is then unchanged.
    """
    with one_server(root) as keep:
        # These import prefect, which reads PREFECT_API_URL when imported.
        from kshot.flows.at_commit import SERVED
        from kshot.flows.schedule import check
        from kshot.flows.schedule_text import whole
        from kshot.flows.scheduled_runs import News

        os.environ[SERVED] = str(root.resolve())
        # Under the lock, and from the file: part of it may have been paused or removed while the server started.
        with exclusive(root, "schedule"):
            wanted = changed(schedules.read(root), asked)
            for line in check(root, wanted):
                say(line)
            schedules.write(root, wanted)
        say("the schedule as it is now:\n" + whole(root, wanted))
        keep(say)
        watch, news = Watch(root, say), News()
        with runner(root, say):
            pages = shareable(os.environ["PREFECT_API_URL"]).removesuffix("/api")
            say(f"Prefect  {pages}   Ctrl-C ends it; the schedule stays")
            while (schedule := schedules.read(root)) is not None and schedule.names():
                keep(say)
                with told_once(say):
                    for line in news.look(root):
                        say(line)
                    watch.look(schedule)
                time.sleep(LOOK_S if not schedule.new_data else min(LOOK_S, schedule.poll_s))
            say("nothing is scheduled any more")


@contextlib.contextmanager
def one_server(root: Path) -> Iterator[Callable[[Say], None]]:
    """Run a scheduling server during the block; yields a function that waits for it, restarting it if it has ended.

    A server that PREFECT_API_URL names is used and not ended. Otherwise the project's own is started on its
    PREFECT_HOME, and ends with the block.
    """
    home = no_telemetry.keep_prefect_in(root)
    named = os.environ.get("PREFECT_API_URL")
    if named:
        server.find(home)
        wait_for(named)
        require_own(root, named)
        yield lambda say: None
        return
    server.end_left_behind(home)
    running = [server.start_lasting(home, server.claim_port(4200))]
    server.use(home, running[0].api)

    answered = False

    def keep(say: Say) -> None:
        nonlocal answered
        try:
            running[-1].wait()
        except KshotError:
            # Restart only a server that was healthy and has ended, perhaps during a request.
            if not answered or running[-1].process.poll() is None:
                raise
            say(f"Prefect's server has ended; starting it again (its last words stand in {running[-1].log})")
            running.append(server.start_lasting(home, running[-1].port))
            running[-1].wait()
        answered = True

    try:
        yield keep
    finally:
        processes.end(running[-1].process, grace_s=10.0)
        server.forget(home)


def require_own(root: Path, api: str) -> None:
    """Raise KshotError if the server has deployments of another project with the same name, or of another copy."""
    from prefect import get_client

    from kshot.flows.scheduled_runs import held_by_another, of_project

    ours = first_commits(root)
    with get_client(sync_client=True) as client:
        found = client.read_deployments(deployment_filter=of_project(root))
    owners = {tag.removeprefix(OWNER) for one in found for tag in one.tags if tag.startswith(OWNER)}
    if ours and owners - ours:
        raise KshotError(another(project_name.of(root), shareable(api), min(owners - ours), ours))
    if other := held_by_another(root, found):
        raise KshotError(
            f"{shareable(api)} has a schedule of another copy of this project, in {other}, and nothing was written, "
            "because this one would replace it; `kshot schedule remove` there (where that copy is gone, delete its "
            "deployments on Prefect's pages), or give this copy a name of its own in params.yaml: project: NAME"
        )


def wait_for(api: str) -> None:
    """Return when the server at `api` answers. Raises KshotError after half a minute."""
    began = time.monotonic()
    while not server.answers(api):
        if time.monotonic() - began > PATIENCE_S:
            raise KshotError(
                f"Prefect's server {api} did not answer, tried for {time.monotonic() - began:.0f} s; start it, "
                "or unset PREFECT_API_URL to let kshot start the project's own"
            )
        time.sleep(1)


@contextlib.contextmanager
def runner(root: Path, say: Say) -> Iterator[None]:
    """Run due retrainings in a thread during the block; at its end, stop those in progress and wait for them."""
    from kshot.flows import schedule as times

    ready, stop = threading.Event(), threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
    refused: list[BaseException] = []

    async def go(schedule: Schedule, served: "list[RunnerDeployment]") -> None:
        task = asyncio.current_task()
        assert task is not None
        running[:] = [(asyncio.get_running_loop(), task)]
        await times.serve(root, schedule, served, ready.set)

    def work() -> None:
        while not stop.is_set() and (schedule := schedules.read(root)) is not None:
            try:
                asyncio.run(go(schedule, times.deployments(root, schedule)))
            except asyncio.CancelledError:
                return
            except Exception as error:
                if not ready.is_set():
                    refused.append(error)
                    ready.set()
                    return
                # Prefect's runner gives up after 30 s without its server.
                say(f"Prefect's server does not answer ({type(error).__name__}); trying again")
                stop.wait(LOOK_S)

    thread = threading.Thread(target=work, name="Prefect's runner", daemon=True)
    thread.start()
    try:
        ready.wait()
        if refused:
            raise KshotError(f"Prefect refused the schedule: {refused[0]}") from refused[0]
        yield
    finally:
        stop.set()
        end_runs()
        for loop, task in running:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


def end_runs() -> None:
    """Stop the runs in progress, as Ctrl-C does, and wait until they have reported it."""
    runs = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            if "prefect.engine" in child.cmdline():
                runs.append(child)
    for run in runs:
        with contextlib.suppress(psutil.Error):
            run.send_signal(signal.SIGINT)
    psutil.wait_procs(runs, timeout=GRACE_S)


class Watch:
    """The watch for new data: stores the versions it has seen on disk, and does not retry refused content."""

    def __init__(self, root: Path, say: Say) -> None:
        self.root, self.say = root, say
        self.seen = new_data.read(root)
        self.resting, self.refused, self.looked_at = "", "", 0.0

    def look(self, schedule: Schedule) -> None:
        """Check the source if it is time, and start a retraining for each version without one."""
        if not schedule.new_data or NEW_DATA in schedule.paused:
            return
        from kshot.flows.scheduled_runs import start_new

        if time.monotonic() - self.looked_at >= schedule.poll_s:
            self.looked_at = time.monotonic()
            self.find(schedule)
        self.seen, said = start_new(self.root, self.seen)
        for line in said:
            self.say(line)

    def find(self, schedule: Schedule) -> None:
        """Record the source's current version, on disk before anything is started."""
        if schedule.source is not None:
            self.add(Path(schedule.source), schedule.if_drifted)
        elif schedule.ref is not None:
            self.note(new_data.of_commit(self.root, schedule.ref), self.seen.fingerprint)
        else:
            self.note(new_data.of_project(self.root), self.seen.fingerprint)

    def add(self, source: Path, if_drifted: bool = False) -> None:
        """Add the source if its content is new and unchanged since the last check, as copying may be in progress.

        `if_drifted`: only if it has drifted from the champion's training data; without a champion, always.
        """
        found = new_data.fingerprint(source)
        before, self.resting = self.resting, found
        if found in (self.seen.fingerprint, self.refused) or found != before:
            return
        try:
            if if_drifted:
                verdict = new_data.drifted(self.root, source)
                self.say(f"{source}: {verdict.words}")
                if not verdict.drifted:
                    self.note(None, found)
                    return
            self.note(new_data.add(self.root, source), found)
        except Busy:
            raise  # reported, and tried again at the next check
        except DataError as error:
            self.refused = found
            name = project_name.of(self.root)
            notify.send(f"{name}: new data was refused", f"{source}: {error}", {"source": str(source)})
            raise

    def note(self, md5: str | None, fingerprint: str) -> None:
        """Store a version that was not seen before."""
        before = self.seen
        versions = self.seen
        if md5 is not None and self.seen.find(md5) is None:
            versions = self.seen.put(new_data.Version(md5))
        self.seen = new_data.Seen(fingerprint, versions.versions)
        if self.seen != before:
            new_data.write(self.root, self.seen)


_said: dict[str, str] = {}


@contextlib.contextmanager
def told_once(say: Say) -> Iterator[None]:
    """Report an error, once as long as it stays the same, and continue: a scheduler survives temporary failures."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except (KshotError, PrefectException, httpx.HTTPError, OSError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if _said.get("last") != text:
            say(f"{text}; tried again")
        _said["last"] = text
    else:
        if _said.pop("last", None):
            say("that is over")
