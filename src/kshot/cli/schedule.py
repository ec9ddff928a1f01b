"""`kshot schedule`: retrainings that start by themselves, by the clock or because new data came."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from kshot.errors import KshotError
from kshot.lifecycle import layout, lock, quiet, schedule
from kshot.lifecycle.files import exclusive
from kshot.lifecycle.schedule import CRON, EVERY, NEW_DATA, Schedule

DESCRIPTION = """\
Retrain by the clock or when new data comes, until Ctrl-C. Any of the three together:

  kshot schedule --cron "0 3 * * 1" --timezone Europe/Berlin
  kshot schedule --every 6h
  kshot schedule --on-new-data /data/incoming --poll 60s
  kshot schedule                   serve again what was scheduled before

Each retraining works at one commit, in a git worktree of its own: what you edit meanwhile does
not slip into it. The schedule is kept: `list`, `pause`, `resume` and `remove` work on it whether
it is served or not. docs/schedule.md says more.
"""
LOG = layout.STATE / "scheduler.log"
OPTIONS_OF_A_RUN = ("ref", "data", "sets", "catch_up", "overlap", "timezone", "poll", "if_drifted")


def add_parser(verbs: Any) -> None:
    """Add the verb `schedule` with its own verbs to the command line."""
    top = verbs.add_parser(
        "schedule",
        help="retrain by the clock or when new data comes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--cron", metavar="LINE", help="minute hour day month weekday, such as '0 3 * * 1'")
    top.add_argument("--every", metavar="DURATION", help="from one start to the next, such as 6h or 1d")
    top.add_argument(
        "--on-new-data",
        nargs="?",
        const="",
        metavar="SOURCE",
        help="once for each data version: when the folder, archive or manifest SOURCE changes it is added by "
        "`data add`; without SOURCE, when the project's own version changes (with --ref, the version of that commit)",
    )
    top.add_argument(
        "--if-drifted",
        action="store_true",
        help="of --on-new-data SOURCE: add and retrain only what `kshot drift` says has drifted",
    )
    top.add_argument("--poll", metavar="DURATION", help="from one look at the source to the next (60s)")
    top.add_argument("--timezone", metavar="ZONE", help="of --cron and of what is shown, such as Europe/Berlin (UTC)")
    top.add_argument(
        "--overlap",
        choices=("wait", "skip"),
        help="a start by the clock while a retraining goes on waits for its end, or is skipped (wait)",
    )
    top.add_argument(
        "--catch-up",
        choices=("once", "never"),
        help="starts by the clock that were missed while nothing served: one for all of them, or none (once)",
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
    shown = below.add_parser("list", help="what is scheduled, when it is due next, and whether it is served")
    shown.set_defaults(run=run_list)
    for verb, text in (
        ("pause", "start nothing by it until it is resumed"),
        ("resume", "go on with what was paused"),
        ("remove", "take it off the schedule"),
    ):
        one = below.add_parser(verb, help=text)
        one.add_argument("names", nargs="*", choices=[[], CRON, EVERY, NEW_DATA], metavar="NAME", help="default: all")
        one.set_defaults(run=run_change, action=verb)


def run_serve(root: Path, options: argparse.Namespace) -> int:
    """Keep the schedule that the options name, or take the one that is kept, and serve it."""
    with lock.hold(root, "kshot schedule", lock.SERVING):
        wanted = _wanted(root, options)
        if not options.debug:
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        _check(root, wanted)
        say = _on(sys.stdout)
        say("starting ...")
        from flows import serving

        # What Prefect and the runs' processes print is for who looks for trouble.
        with (root / LOG).open("a", encoding="utf-8") as log:
            try:
                with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                    serving.serve(root, wanted, say)
            except KeyboardInterrupt:
                say("ended; the schedule is kept: `kshot schedule` serves it again")
    return 0


def run_list(root: Path, options: argparse.Namespace) -> int:
    """Print one line for each way in which a retraining starts, and who serves them."""
    kept = schedule.read(root)
    if kept is None or not kept.names():
        print('nothing is scheduled; `kshot schedule --cron "0 3 * * 1"` does it, or --every 6h, or --on-new-data')
        return 0
    from flows.schedule import next_start

    lines = {CRON: kept.cron or "", EVERY: schedule.duration(kept.every_s or 0), NEW_DATA: _source(kept)}
    for name in kept.names():
        due = next_start(kept, name)
        when = "paused" if name in kept.paused else due.strftime("next %Y-%m-%d %H:%M:%S %Z") if due else _last(root)
        print(f"  {name:<9} {lines[name]:<32} {when}")
    by = lock.holder(root, lock.SERVING)
    print(f"served by process {by.pid} since {by.since}" if by else "not served now; `kshot schedule` serves it")
    return 0


def run_change(root: Path, options: argparse.Namespace) -> int:
    """Pause, resume or remove what is scheduled, in the file and at the server that serves it."""
    kept = schedule.read(root)
    names = tuple(options.names) or (kept.names() if kept else ())
    missing = [name for name in names if kept is None or name not in kept.names()]
    if kept is None or missing or not names:
        known = ", ".join(kept.names()) if kept and kept.names() else "nothing"
        raise KshotError(f"{', '.join(missing) or 'nothing'} is not scheduled; `kshot schedule list` shows {known}")
    home = quiet.keep_prefect_in(root)
    from flows import server

    address = os.environ.get("PREFECT_API_URL") or server.running(home)
    with exclusive(root, "schedule"):
        if address:
            os.environ["PREFECT_API_URL"] = address
            from flows.scheduled_runs import tell_server

            tell_server(names, options.action)
        kept = schedule.read(root) or kept
        if options.action == "remove":
            for name in names:
                kept = schedule.without(kept, name)
        else:
            kept = schedule.pause(kept, names, options.action == "pause")
        schedule.write(root, kept)
    print(f"{', '.join(names)}: {options.action.rstrip('e')}ed")
    return 0


def _wanted(root: Path, options: argparse.Namespace) -> Schedule:
    """The schedule that the options name, checked; the kept one where they name none. Raises KshotError."""
    named = any(value is not None for value in (options.cron, options.every, options.on_new_data))
    kept = schedule.read(root)
    if not named:
        others = [name for name in OPTIONS_OF_A_RUN if getattr(options, name)]
        if others:
            raise KshotError(f"--{others[0].replace('_', '-')} says how; needs --cron, --every or --on-new-data too")
        if kept is None or not kept.names():
            raise KshotError("nothing is scheduled yet; needs --cron LINE, --every DURATION or --on-new-data [SOURCE]")
        return kept
    source = options.on_new_data
    every_s = schedule.seconds(options.every) if options.every is not None else None
    if every_s is not None and every_s < schedule.SHORTEST_S:
        raise KshotError(f"--every {options.every} is too often; needs {schedule.SHORTEST_S:.0f}s or more")
    if options.if_drifted and not source:
        raise KshotError("--if-drifted says which new data is retrained; needs --on-new-data SOURCE, what to look at")
    poll_s = schedule.seconds(options.poll or "60s")
    if poll_s < 1:
        raise KshotError(f"--poll {options.poll} is too often; needs 1s or more")
    return Schedule(
        cron=options.cron,
        every_s=every_s,
        new_data=source is not None,
        source=str(Path(source).expanduser().resolve()) if source else None,
        poll_s=poll_s,
        timezone=schedule.need_zone(options.timezone or "UTC"),
        catch_up=options.catch_up or "once",
        overlap=options.overlap or "wait",
        ref=options.ref,
        data=options.data,
        settings=tuple(options.sets or ()),
        if_drifted=options.if_drifted,
        # The same interval goes on counting where it began.
        since=kept.since if kept is not None and kept.every_s == every_s is not None else schedule.now(),
    )


def _check(root: Path, wanted: Schedule) -> None:
    """Raise KshotError for a setting, a data version or a source that is none, before anything is started."""
    from kshot.lifecycle import settings

    settings.plan(root, sets=wanted.settings)
    if wanted.data is not None:
        from kshot.lifecycle import dataset

        dataset.find(root, wanted.data)
    if wanted.source is not None:
        from kshot.lifecycle import new_data

        new_data.fingerprint(Path(wanted.source))


def _source(kept: Schedule) -> str:
    where = kept.source or (f"data/raw.dvc of {kept.ref}" if kept.ref else "data/raw.dvc")
    return f"{where}, every {schedule.duration(kept.poll_s)}{' if drifted' if kept.if_drifted else ''}"


def _last(root: Path) -> str:
    from kshot.lifecycle import new_data

    versions = new_data.read(root).versions
    if not versions:
        return "no version yet"
    last = versions[-1]
    return f"last {last.md5[:8]}: {last.ended.lower() if last.ended else 'under way' if last.run else 'waits'}"


def _on(terminal: TextIO) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}", file=terminal, flush=True)

    return say
