"""Made-up histories, one event an hour."""

from datetime import UTC, datetime, timedelta

from kshot.lifecycle.history import events
from kshot.lifecycle.history.events import Event, EvidenceFile, Person

ADA = Person("Ada", "ada", "here")
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def chain(*steps: tuple[str, str, dict[str, str]]) -> list[Event]:
    """One event an hour: what happened, to which version, and the aliases after it."""
    found: list[Event] = []
    for number, (action, version, aliases) in enumerate(steps, 1):
        last = found[-1] if found else None
        event = Event(
            number=number,
            when=after(number - 1).isoformat(),
            action=action,
            version=version,
            before=last.after if last else {},
            after=aliases,
            who=ADA,
            process=1,
            why='because "ü"\n',
            compared_with="",
            rules="r",
            until="",
            proof=EvidenceFile("run", "decisions/x.json", "ab"),
            mark=str(number),
            previous=last.hash if last else "",
            manifest="ab",
        )
        found.append(events.seal(event))
    return found


HISTORY = chain(
    ("promoted", "1", {"champion": "1"}),
    ("waiting", "2", {"champion": "1", "challenger": "2"}),
    ("approved", "2", {"champion": "2"}),
    ("promoted", "3", {"champion": "3"}),
    ("rolled back", "2", {"champion": "2"}),
)
