"""Checks that events follow from one another, and that the aliases follow from the last one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate, pairwise

from kshot.lifecycle.history.event_text import moves
from kshot.lifecycle.history.events import Event, digest


def moments(events: Sequence[Event]) -> list[datetime]:
    """When each event took effect: never earlier than the previous event, even if an older kshot wrote the time of a
    clock that had been set back."""
    return list(accumulate((datetime.fromisoformat(event.when) for event in events), max))


def backwards(events: Sequence[Event]) -> list[str]:
    """Where the times of the events run backwards, one sentence each."""
    return [
        f"event {event.number} ({event.when}) is dated before event {last.number} ({last.when}): the clock had been "
        f"set back; the order of the events says who was champion"
        for last, event in pairwise(events)
        if datetime.fromisoformat(event.when) < datetime.fromisoformat(last.when)
    ]


def verify(events: Sequence[Event], aliases: Mapping[str, str]) -> list[str]:
    """Problems of the history, one sentence each: from `broken`, and times of older events that run backwards.

    An empty list means that every event is as it was written and that kshot moved the aliases to where they are.
    """
    sound, _ = _sound(events)
    return [*broken(events, aliases), *backwards(sound)]


def broken(events: Sequence[Event], aliases: Mapping[str, str]) -> list[str]:
    """The first event that was changed, and aliases that do not follow from the last event, one sentence each."""
    _, trouble = _sound(events)
    problems = [trouble] if trouble else []
    left = events[-1].after if events else {}
    if events and not events[-1].done:
        return [*problems, f"{events[-1]} was begun and not finished; the next kshot retrain, promote or models will"]
    return problems + [f"{move}, outside kshot" for move in moves(left, aliases)]


def _sound(events: Sequence[Event]) -> tuple[Sequence[Event], str | None]:
    """The events before the first changed one, and the fault of that one."""
    last: Event | None = None
    for place, event in enumerate(events, 1):
        if trouble := _trouble(event, place, last):
            return events[: place - 1], trouble
        last = event
    return events, None


def _trouble(event: Event, place: int, last: Event | None) -> str | None:
    if event.number != place:
        return f"event {place} is missing: event {event.number} is in its place"
    if event.hash != digest(event):
        return f"event {place} is not as it was written: its content does not have its hash"
    if event.previous != (last.hash if last else ""):
        return f"event {place} does not follow from the one before: another one stood there when it was written"
    if event.before != (last.after if last else {}):
        return f"event {place} begins with {event.before}, the one before left {last.after if last else {}}"
    return None
