"""Who was champion, when and by whose decision, derived from the events."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from kshot.lifecycle.history.event_chain import moments
from kshot.lifecycle.history.events import CHAMPION, MOVED_OUTSIDE, PERSONAL, ROLLED_BACK, Event


@dataclass(frozen=True)
class ChampionPeriod:
    """The period of one champion; `until` is None for the current one."""

    version: str
    since: datetime
    until: datetime | None


def champion_at(events: Sequence[Event], when: datetime) -> str | None:
    """The version that was champion at `when` (with a time zone), None if there was none."""
    past = [event for event, moment in zip(events, moments(events), strict=True) if moment <= when]
    return past[-1].after.get(CHAMPION) if past else None


def champion_periods(events: Sequence[Event]) -> list[ChampionPeriod]:
    """The periods of all champions, oldest first; a version that came back has several."""
    found: list[ChampionPeriod] = []
    for event, moment in zip(events, moments(events), strict=True):
        now = event.after.get(CHAMPION)
        if found and found[-1].until is None:
            if found[-1].version == now:
                continue
            found[-1] = dataclasses.replace(found[-1], until=moment)
        if now is not None:
            found.append(ChampionPeriod(now, moment, None))
    return found


def was_given_outside(events: Sequence[Event], version: str) -> bool:
    """Whether `version` is champion by an alias moved outside kshot, and no person has decided about it since."""
    for event in reversed(events):
        if event.version == version and event.action in PERSONAL:
            return False
        if event.before.get(CHAMPION) != event.after.get(CHAMPION):
            return event.action == MOVED_OUTSIDE and event.after.get(CHAMPION) == version
    return False


def taken_outside(events: Sequence[Event]) -> str:
    """The last champion, if its alias was taken away outside kshot and no version has it now; '' otherwise."""
    for event in reversed(events):
        before, after = event.before.get(CHAMPION), event.after.get(CHAMPION)
        if before != after:
            return before or "" if event.action == MOVED_OUTSIDE and after is None else ""
    return ""


def undecided(events: Sequence[Event], registered: Collection[str]) -> str:
    """A sentence if the last move of the alias champion was made outside kshot, and nobody decided since; else ''.

    `registered`: the versions that MLflow still has, of which alone one can be promoted.
    """
    now = events[-1].after.get(CHAMPION, "") if events else ""
    if now and was_given_outside(events, now):
        return (
            f"version {now} is champion by no decision: its alias was moved outside kshot; "
            f"`kshot promote {now}` or `kshot rollback` makes it one"
        )
    if lost := taken_outside(events):
        back = f"`kshot promote {lost}` gives it back, " if lost in registered else ""
        return (
            f"there is no champion by no decision: the alias was taken from version {lost} outside kshot; "
            f"{back}`kshot approve` or `kshot promote` names another"
        )
    return ""


def earlier_champions(events: Sequence[Event]) -> list[str]:
    """The versions that a rollback may go back to, most recent first.

    A version that was itself rolled back is excluded: rolling back twice goes two champions back.
    """
    line: list[str] = []
    for event in events:
        now = event.after.get(CHAMPION)
        if now is None or (line and line[-1] == now):
            continue
        if event.action == ROLLED_BACK:
            line = line[: line.index(now)] if now in line else line[:-1]
        line.append(now)
    unique = dict.fromkeys(reversed(line[:-1]))
    return [version for version in unique if version != line[-1]]
