"""Text about events and moves of aliases, for people."""

from collections.abc import Mapping

from kshot.lifecycle.history.events import CHALLENGER, CHAMPION, Event


def moves(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Describe how the aliases moved."""
    parts = []
    for alias in (CHAMPION, CHALLENGER):
        old, new = before.get(alias), after.get(alias)
        if old != new:
            how = "was moved" if old and new else "was set" if new else "was taken away"
            parts.append(
                f"alias {alias} {how}{f' from version {old}' if old else ''}{f' to version {new}' if new else ''}"
            )
    return parts


def outcome_text(event: Event) -> str:
    """Describe a decision's outcome to the person who made it."""
    champion, before = event.after.get(CHAMPION), event.before.get(CHAMPION)
    if champion != before:
        instead = f" instead of version {before}" if before else ""
        return f"version {champion} is champion now{instead}; recorded as event {event.number}"
    serves = f"version {champion} stays champion" if champion else "there is no champion"
    return f"version {event.version} is {event.action}, {serves}; recorded as event {event.number}"
