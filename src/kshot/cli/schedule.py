"""`kshot schedule`: retrainings that start automatically, at set times or when new data arrives."""

import argparse
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule, schedule_changes
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA, Schedule
from kshot.lifecycle.project import layout, no_telemetry, project_lock, state_place
from kshot.lifecycle.project.files import exclusive
from kshot.load_yaml import load_yaml

DESCRIPTION = """\
Retrain by the clock or when new data arrives, until Ctrl-C. --cron, --every and --on-new-data may be
combined, in one command or in several: a command adds to the stored schedule or replaces the parts
that it names, and prints the whole schedule.

  kshot schedule --cron "0 3 * * 1" --timezone Europe/Berlin
  kshot schedule --every 6h
  kshot schedule --on-new-data /data/all --poll 60s           a folder with all images: it replaces the data
  kshot schedule --on-new-data /data/incoming --extend        one with further images: they come to the data
  kshot schedule                   serve the stored schedule again

Each retraining works at one commit, in its own git worktree: edits meanwhile do not affect it. The
schedule is stored: `list`, `pause`, `resume` and `remove` change it whether it is served or not.
docs/schedule.md says more.
"""
BEGIN = '`kshot schedule --cron "0 3 * * 1"` schedules a retraining, or --every 6h, or --on-new-data'
LOG = layout.STATE / "scheduler.log"
PARTS = (
    schedule_changes.IF_DRIFTED,
    schedule_changes.EXTEND,
    schedule_changes.REF,
    schedule_changes.DATA,
    schedule_changes.SET,
)


def add_parser(verbs: Any) -> None:
    """Add the verb `schedule` with its own verbs to the command line."""
    top = verbs.add_parser("schedule", help="retrain by the clock or when new data arrives", description=DESCRIPTION)
    top.add_argument("--cron", metavar="LINE", help="minute hour day month weekday, such as '0 3 * * 1'")
    top.add_argument("--every", metavar="DURATION", help="from one start to the next, such as 6h or 1d")
    top.add_argument(
        "--on-new-data",
        nargs="?",
        const=schedule_changes.PROJECT,
        metavar="SOURCE",
        help="once for each data version: when the folder, archive or manifest SOURCE changes it is added by "
        "`data add`; without SOURCE, when the project's own version changes (with --ref, the version of that commit)",
    )
    top.add_argument(
        "--if-drifted",
        action="store_true",
        help="with --on-new-data SOURCE: add and retrain only if `kshot drift` says that it has drifted",
    )
    top.add_argument(
        "--extend",
        action="store_true",
        help="with --on-new-data SOURCE: add its images to the current data version; otherwise it replaces that",
    )
    top.add_argument("--poll", metavar="DURATION", help="time between checks of the source (60s)")
    top.add_argument("--timezone", metavar="ZONE", help="for --cron and for printed times, such as Europe/Berlin (UTC)")
    top.add_argument(
        "--overlap",
        choices=("wait", "skip"),
        help="a start by the clock during a retraining waits for its end, or is skipped (wait)",
    )
    top.add_argument(
        "--catch-up",
        choices=("once", "never"),
        help="starts that were missed while the schedule was not served: one for all, or none (once)",
    )
    top.add_argument(
        "--ref", metavar="REF", help="the commit to work at: a branch, tag or hash; origin/main is fetched"
    )
    top.add_argument("--data", metavar="VERSION", help="always on this data version")
    top.add_argument(
        "--set",
        dest="sets",
        action="append",
        metavar="KEY=VALUE",
        help="change a setting in each run (repeat for more)",
    )
    top.set_defaults(run=run_serve)
    below = top.add_subparsers(title="commands", metavar="COMMAND")
    shown = below.add_parser("list", help="list the schedule, its next starts, and whether it is served")
    shown.set_defaults(run=run_list)
    for verb, text in (
        ("pause", "pause starts until they are resumed"),
        ("resume", "resume paused starts"),
        ("remove", "remove parts of the schedule"),
    ):
        one = below.add_parser(verb, help=text)
        known = (CRON, EVERY, NEW_DATA, *(PARTS if verb == "remove" else ()))
        one.add_argument(
            "names", nargs="*", choices=[[], *known], metavar="NAME", help=f"{', '.join(known)}; default: all"
        )
        one.set_defaults(run=run_change, action=verb)


def run_serve(root: Path, options: argparse.Namespace) -> int:
    """Change the stored schedule by the options, print all of it, and serve it."""
    state_place.require_here(root)
    with project_lock.hold(root, "kshot schedule", project_lock.SERVING):
        changes = schedule_changes.Changes(
            **{field.name: getattr(options, field.name) for field in dataclasses.fields(schedule_changes.Changes)}
        )
        if not options.debug:
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        no_telemetry.keep_prefect_in(root)  # the check of a cron line imports prefect
        _check(root, schedule_changes.changed(schedule.read(root), changes))
        say = _on(sys.stdout)
        say("starting ...")
        from kshot.flows.schedules import scheduler_process

        # The output of Prefect and of the runs' processes is only needed for debugging.
        with (root / LOG).open("a", encoding="utf-8") as log:
            try:
                with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                    scheduler_process.serve(root, changes, say)
            except KeyboardInterrupt:
                say("ended; the schedule is stored: `kshot schedule` serves it again")
    return 0


def run_list(root: Path, options: argparse.Namespace) -> int:
    """Print the whole schedule, the next start of each entry, and the process that serves it."""
    state_place.require_here(root)
    current = schedule.read(root)
    if current is None or not current.names():
        print(f"nothing is scheduled; {BEGIN}")
        return 0
    from kshot.flows.schedules.schedule_text import whole

    print(whole(root, current))
    by = project_lock.holder(root, project_lock.SERVING)
    print(f"served by process {by.pid} since {by.since}" if by else "not served now; `kshot schedule` serves it")
    return 0


def run_change(root: Path, options: argparse.Namespace) -> int:
    """Pause, resume or remove scheduled starts, in the file and at the server that serves it."""
    state_place.require_here(root)
    current = schedule.read(root)
    known = (
        () if current is None else schedule_changes.parts(current) if options.action == "remove" else current.names()
    )
    names = tuple(options.names) or known
    missing = [name for name in names if name not in known]
    if current is None or not known:
        raise KshotError(f"nothing is scheduled, so there is nothing to {options.action}; {BEGIN}")
    if missing:
        raise KshotError(f"{', '.join(missing)} is not scheduled; `kshot schedule list` shows {', '.join(known)}")
    home = no_telemetry.keep_prefect_in(root)
    from kshot.flows import server

    with exclusive(root, "schedule"):
        if server.find(home) and set(names) & set(current.names()):
            from kshot.flows.schedules.scheduled_runs import apply_at_server

            apply_at_server(root, names, options.action)
        current = schedule.read(root) or current
        if options.action == "remove":
            for name in names:
                current = schedule_changes.without(current, name)
        else:
            current = schedule.pause(current, names, options.action == "pause")
        schedule.write(root, current)
    print(f"{', '.join(names)}: {options.action.rstrip('e')}ed")
    if set(names) - set(current.names()) - {CRON, EVERY, NEW_DATA} and project_lock.holder(root, project_lock.SERVING):
        print("what is served now keeps it until `kshot schedule` is started again")
    return 0


def _check(root: Path, wanted: Schedule) -> None:
    """Raise KshotError for an invalid setting, data version or source, before anything is started."""
    from kshot.lifecycle.params_file import settings
    from kshot.params.schema import params_from

    text, changes = settings.plan(root, sets=wanted.settings)
    settings.require_checkpoint(root, params_from(load_yaml(text)), changes)
    if wanted.cron is not None:
        from kshot.flows.schedules import schedule as times

        times.timetable(wanted)
        times.next_start(wanted, CRON)
    if wanted.data is not None:
        from kshot.lifecycle.data import data_versions

        data_versions.find(root, wanted.data)
    if wanted.source is not None:
        from kshot.lifecycle.pipeline import new_data

        new_data.check_source(root, Path(wanted.source))


def _on(terminal: TextIO) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}", file=terminal, flush=True)

    return say
