"""The process of `kshot schedule`: serves the schedule and watches for new data until Ctrl-C."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kshot.errors import KshotError
from kshot.flows.schedules.new_data_watch import Watch
from kshot.flows.schedules.own_server import one_server
from kshot.flows.schedules.prefect_runner import runner
from kshot.lifecycle.pipeline import schedule as schedules
from kshot.lifecycle.pipeline.schedule_changes import Changes, changed
from kshot.lifecycle.project.files import exclusive
from kshot.redaction import shareable

LOOK_S = 5.0  # interval between checks of the runs, the pauses and the server

Say = Callable[[str], None]


def serve(root: Path, changes: Changes, say: Say) -> None:
    """Store the schedule with the `changes` and serve it until Ctrl-C, or until nothing is scheduled any more.

    Raises KshotError if the server that PREFECT_API_URL names does not answer, and if the schedule is refused; the
    stored schedule is then unchanged.
    """
    with one_server(root) as keep:
        # These import prefect, which reads PREFECT_API_URL when imported.
        from kshot.flows.at_commit import SERVED
        from kshot.flows.schedules.schedule import check
        from kshot.flows.schedules.schedule_text import whole
        from kshot.flows.schedules.scheduled_runs import News

        os.environ[SERVED] = str(root.resolve())
        # Under the lock, and from the file: part of it may have been paused or removed while the server started.
        with exclusive(root, "schedule"):
            wanted = changed(schedules.read(root), changes)
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
                with warned_once(say):
                    for line in news.look(root):
                        say(line)
                    watch.look(schedule)
                time.sleep(LOOK_S if not schedule.new_data else min(LOOK_S, schedule.poll_s))
            say("nothing is scheduled any more")


_said: dict[str, str] = {}


@contextlib.contextmanager
def warned_once(say: Say) -> Iterator[None]:
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
