"""Applies the options of a `kshot schedule` command: adds to the stored schedule or replaces the parts they name.

Everything else is unchanged, including a pause. Options are refused that contradict each other, name nothing or would
never start a run.
"""

import dataclasses
from pathlib import Path
from typing import Literal

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


def changed(current: Schedule | None, asked: Changes) -> Schedule:
    """The stored schedule with the changes. Raises KshotError for invalid changes."""
    for name in asked.named():
        value = getattr(asked, name)
        if any(not text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            raise KshotError(
                f"{_option(name)} is empty: perhaps a variable in it is not set; name a value, or leave it out"
            )
    before = current or Schedule(
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
        since=schedule.now(),
    )
    every_s = _every(asked.every) if asked.every is not None else before.every_s
    after = dataclasses.replace(
        before,
        cron=asked.cron or before.cron,
        every_s=every_s,
        # The same interval continues to count from where it began.
        since=before.since if every_s == before.every_s else schedule.now(),
        new_data=before.new_data or asked.on_new_data is not None,
        source=_source(asked.on_new_data) if asked.on_new_data is not None else before.source,
        if_drifted=asked.if_drifted or (before.if_drifted and asked.on_new_data != PROJECT),
        extend=asked.extend or (before.extend and asked.on_new_data != PROJECT),
        poll_s=_poll(asked.poll) if asked.poll is not None else before.poll_s,
        timezone=schedule.need_zone(asked.timezone) if asked.timezone is not None else before.timezone,
        overlap=asked.overlap or before.overlap,
        catch_up=asked.catch_up or before.catch_up,
        ref=asked.ref or before.ref,
        data=asked.data or before.data,
        settings=_settings(before.settings, asked.sets or []),
    )
    _check(after, asked)
    return after


def without(current: Schedule, name: str) -> Schedule:
    """The schedule without one of its parts: a trigger, or a setting of its runs."""
    if name in current.names():
        return schedule.without(current, name)
    gone: dict[str, Schedule] = {
        IF_DRIFTED: dataclasses.replace(current, if_drifted=False),
        EXTEND: dataclasses.replace(current, extend=False),
        REF: dataclasses.replace(current, ref=None),
        DATA: dataclasses.replace(current, data=None),
        SET: dataclasses.replace(current, settings=()),
    }
    return gone[name]


def parts(current: Schedule) -> tuple[str, ...]:
    """The names of everything that can be removed."""
    others = {
        IF_DRIFTED: current.if_drifted,
        EXTEND: current.extend,
        REF: current.ref,
        DATA: current.data,
        SET: current.settings,
    }
    return (*current.names(), *(name for name, value in others.items() if value))


def _check(after: Schedule, asked: Changes) -> None:
    if not after.names():
        named = asked.named()
        if named:
            raise KshotError(f"{_option(named[0])} says how; needs --cron, --every or --on-new-data too")
        raise KshotError("nothing is scheduled yet; needs --cron LINE, --every DURATION or --on-new-data [SOURCE]")
    if asked.if_drifted and after.source is None:
        raise KshotError("--if-drifted says which new data is retrained; needs --on-new-data SOURCE, what to look at")
    if asked.extend and after.source is None:
        raise KshotError("--extend says how new data is added; needs --on-new-data SOURCE, what to add")
    if asked.poll is not None and not after.new_data:
        raise KshotError("--poll says how often to look for new data; needs --on-new-data too")
    by_clock = {CRON, EVERY} & set(after.names())
    for name in ("timezone", "overlap", "catch_up"):
        if getattr(asked, name) is not None and not by_clock:
            raise KshotError(f"{_option(name)} is of starts by the clock; needs --cron or --every too")
    if asked.data is not None and not by_clock:
        raise KshotError(
            "--data would never be used: new data starts a retraining on itself; needs --cron or --every too"
        )


def _every(text: str) -> float:
    every_s = schedule.seconds(text)
    if every_s < schedule.SHORTEST_S:
        raise KshotError(f"--every {text} is too often; needs {schedule.SHORTEST_S:.0f}s or more")
    if every_s > LONGEST_S:
        raise KshotError(f"--every {text} is over a year; needs {schedule.duration(LONGEST_S)} or less")
    return every_s


def _poll(text: str) -> float:
    poll_s = schedule.seconds(text)
    if poll_s < 1:
        raise KshotError(f"--poll {text} is too often; needs 1s or more")
    if poll_s > LONGEST_S:
        raise KshotError(f"--poll {text} is over a year; needs {schedule.duration(LONGEST_S)} or less")
    return poll_s


def _source(named: str) -> str | None:
    return None if named == PROJECT else str(Path(named).expanduser().resolve())


def _settings(before: tuple[str, ...], lines: list[str]) -> tuple[str, ...]:
    """The settings of each run, by key; the last one wins."""
    by_key = {line.partition("=")[0].strip(): line for line in (*before, *lines)}
    return tuple(by_key.values())


def _option(name: str) -> str:
    return "--set" if name == "sets" else f"--{name.replace('_', '-')}"
