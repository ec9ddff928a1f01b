"""Applies the options of a `kshot schedule` command: adds to the stored schedule or replaces the parts they name.

Everything else is unchanged, including a pause. Options are refused that contradict each other, name nothing or would
never start a run.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, Schedule

PROJECT = "the project's own data version"  # --on-new-data without a source
POLL_S = 60.0
LONGEST_S = 366 * 86400.0  # a longer interval is a typing error
# Parts that can be removed, besides the triggers.
IF_DRIFTED, EXTEND, REF, DATA, SET = "if-drifted", "extend", "ref", "data", "set"


@dataclasses.dataclass(frozen=True)
class Changes:
    """The options of one command as they were typed; None: not given."""

    cron: str | None = None
    every: str | None = None
    on_new_data: str | None = None
    if_drifted: bool = False
    extend: bool = False
    poll: str | None = None
    timezone: str | None = None
    overlap: Literal["wait", "skip"] | None = None
    catch_up: Literal["once", "never"] | None = None
    ref: str | None = None
    data: str | None = None
    sets: list[str] | None = None

    def named(self) -> list[str]:
        """The options that were given."""
        return [name for name, value in vars(self).items() if value not in (None, False)]


DEFAULTS = Schedule(
    cron=None,
    every_s=None,
    new_data=False,
    source=None,
    poll_s=POLL_S,
    timezone="UTC",
    catch_up="once",
    overlap="wait",
    ref=None,
    data=None,
    settings=(),
    since="",
)


def changed(current: Schedule | None, changes: Changes) -> Schedule:
    """The stored schedule with the changes. Raises KshotError for invalid changes."""
    _refuse_empty(changes)
    before = current or dataclasses.replace(DEFAULTS, since=schedule.now())
    after = dataclasses.replace(
        before, **_plain_changes(changes), settings=_settings(before.settings, changes.sets or [])
    )
    if changes.on_new_data is not None:
        watches_project = changes.on_new_data == PROJECT  # to which a source's options no longer apply
        after = dataclasses.replace(
            after,
            new_data=True,
            source=None if watches_project else str(Path(changes.on_new_data).expanduser().resolve()),
            if_drifted=changes.if_drifted or (before.if_drifted and not watches_project),
            extend=changes.extend or (before.extend and not watches_project),
        )
    if after.every_s != before.every_s:  # the same interval continues to count from where it began
        after = dataclasses.replace(after, since=schedule.now())
    _check(after, changes)
    return after


def _refuse_empty(changes: Changes) -> None:
    for name in changes.named():
        value = getattr(changes, name)
        if any(not text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise KshotError(
                f"{_option(name)} is empty: perhaps a variable in it is not set; name a value, or leave it out"
            )


def _plain_changes(changes: Changes) -> dict[str, Any]:
    """The fields of the schedule that one option each replaces, checked and converted."""
    convert: dict[str, Callable[[str], Any]] = {
        "every": lambda text: _seconds("--every", text, schedule.SHORTEST_S),
        "poll": lambda text: _seconds("--poll", text, 1),
        "timezone": schedule.need_zone,
    }
    in_seconds = {"every": "every_s", "poll": "poll_s"}
    found = {name: getattr(changes, name) for name in changes.named() if name not in ("on_new_data", "sets")}
    return {in_seconds.get(name, name): convert[name](v) if name in convert else v for name, v in found.items()}


# Of each setting of the runs: its field of the schedule, with the value when it is removed.
REMOVED: dict[str, dict[str, Any]] = {
    IF_DRIFTED: {"if_drifted": False},
    EXTEND: {"extend": False},
    REF: {"ref": None},
    DATA: {"data": None},
    SET: {"settings": ()},
}


def without(current: Schedule, name: str) -> Schedule:
    """The schedule without one of its parts: a trigger, or a setting of its runs."""
    if name in current.names():
        return schedule.without(current, name)
    return dataclasses.replace(current, **REMOVED[name])


def parts(current: Schedule) -> tuple[str, ...]:
    """The names of everything that can be removed."""
    settings = (name for name, removed in REMOVED.items() if any(getattr(current, field) for field in removed))
    return (*current.names(), *settings)


def _check(after: Schedule, changes: Changes) -> None:
    if changes.if_drifted and after.source is None:
        raise KshotError("--if-drifted says which new data is retrained; needs --on-new-data SOURCE, what to look at")
    if changes.extend and after.source is None:
        raise KshotError("--extend says how new data is added; needs --on-new-data SOURCE, what to add")
    if changes.poll is not None and not after.new_data:
        raise KshotError("--poll says how often to look for new data; needs --on-new-data too")
    if not after.names():
        named = changes.named()
        if named:
            raise KshotError(f"{_option(named[0])} says how; needs --cron, --every or --on-new-data too")
        raise KshotError("nothing is scheduled yet; needs --cron LINE, --every DURATION or --on-new-data [SOURCE]")
    by_clock = {CRON, EVERY} & set(after.names())
    for name in ("timezone", "overlap", "catch_up"):
        if getattr(changes, name) is not None and not by_clock:
            raise KshotError(f"{_option(name)} is of starts by the clock; needs --cron or --every too")
    if changes.data is not None and not by_clock:
        raise KshotError(
            "--data would never be used: new data starts a retraining on itself; needs --cron or --every too"
        )


def _seconds(option: str, text: str, least_s: float) -> float:
    found = schedule.seconds(text)
    if found < least_s:
        raise KshotError(f"{option} {text} is too often; needs {least_s:.0f}s or more")
    if found > LONGEST_S:
        raise KshotError(f"{option} {text} is over a year; needs {schedule.duration(LONGEST_S)} or less")
    return found


def _settings(before: tuple[str, ...], lines: list[str]) -> tuple[str, ...]:
    """The settings of each run, by key; the last one wins."""
    by_key = {line.partition("=")[0].strip(): line for line in (*before, *lines)}
    return tuple(by_key.values())


def _option(name: str) -> str:
    return "--set" if name == "sets" else f"--{name.replace('_', '-')}"
