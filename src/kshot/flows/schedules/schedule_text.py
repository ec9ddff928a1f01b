"""The text of a schedule: what starts a retraining, its next starts, and how each is run."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA, Schedule, duration
from kshot.lifecycle.project import git, project_lock
from kshot.lifecycle.project.tables import facts

SHOWN = 3  # next starts


def whole(root: Path, stored: Schedule, width: int | None = None) -> str:
    """The text of the whole schedule; `width` columns (None: of the terminal)."""
    from kshot.flows.schedules.schedule import both_days, next_starts

    found: list[tuple[str, str]] = []
    for name in stored.names():
        if name == NEW_DATA:
            found += [(name, _source(stored)), ("", _last(root))]
        else:
            clock = (
                f"{stored.cron} in {stored.timezone}"
                if name == CRON
                else f"{duration(stored.every_s or 0)}, {_since(stored)}"
            )
            found.append((name, clock))
            if name == CRON and both_days(stored.cron or ""):
                found.append(
                    ("", "starts on each day that either the day or the weekday names, not only where both do")
                )
            found.append(
                ("", "next " + ", ".join(f"{at:%Y-%m-%d %H:%M:%S %Z}" for at in next_starts(stored, name, SHOWN)))
            )
        if name in stored.paused:
            found[-1] = ("", f"paused; `kshot schedule resume {name}` continues it")
    found.append(("commit", _commit(root, stored)))
    if stored.data is not None:
        found.append(("data", f"version {stored.data} at starts by the clock"))
    if stored.settings:
        found.append(("settings", ", ".join(stored.settings)))
    if {CRON, EVERY} & set(stored.names()):
        found.append(
            (
                "overlap",
                {
                    "wait": "a start during a retraining waits",
                    "skip": "a start during a retraining is skipped",
                }[stored.overlap],
            )
        )
        found.append(
            (
                "missed",
                {
                    "once": "one start makes up for all that were missed while nothing served",
                    "never": "starts that were missed while nothing served are dropped",
                }[stored.catch_up],
            )
        )
    return "\n".join(facts(found, width))


def _since(stored: Schedule) -> str:
    since = datetime.fromisoformat(stored.since).astimezone(ZoneInfo(stored.timezone))
    return f"counted from {since:%Y-%m-%d %H:%M:%S %Z}"


def _commit(root: Path, stored: Schedule) -> str:
    if stored.ref is None:
        return "what is checked out when a run starts"
    remote, slash, _ = stored.ref.partition("/")
    is_fetched = slash and remote in git.text(root, "remote").split()
    return f"{stored.ref}, fetched before each run" if is_fetched else stored.ref


def _source(stored: Schedule) -> str:
    where = stored.source or (f"data/raw.dvc of {stored.ref}" if stored.ref else "data/raw.dvc of this project")
    drifted = ", added and retrained only where it has drifted" if stored.if_drifted else ""
    extends = "; it is added to the images that are there" if stored.extend else "; it replaces the data whole"
    return f"{where}, looked at every {duration(stored.poll_s)}{drifted}{extends if stored.source else ''}"


def _last(root: Path) -> str:
    seen = new_data.read(root)
    if seen.refusal:
        return f"its content is refused: {seen.refusal}"
    if not seen.versions:
        return "nothing new yet"
    last = seen.versions[-1]
    if last.ended or not last.run:
        return f"last {last.md5[:8]}: {last.ended.lower() if last.ended else 'waits'}"
    works = any(project_lock.holder(root, lock) for lock in (project_lock.SERVING, project_lock.SCHEDULED))
    return f"last {last.md5[:8]}: {'under way' if works else 'interrupted; it is started again when this is served'}"
