"""Note of the decision that a command is about to write, so that repeating a killed command does not write it twice.

The note is a file in .kshot. It contains the mark of the event that will be written and is deleted once the person has
been told the outcome. A command finds the note of a dead process; if that process wrote its event and the request is
the same, nothing is left to do.
"""

import dataclasses
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import psutil

from kshot.lifecycle.history.events import Event, Person
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

NOTE = layout.STATE / "act.json"


@dataclasses.dataclass(frozen=True)
class Act:
    """A person's request.

    action   the event's action
    name     the version as the person named it (a number or alias)
    version  its number
    why      the reason
    who      the person

    `name` and `version` are '' when the previous champion is meant.
    """

    action: str
    name: str
    version: str
    why: str
    who: Person

    def is_of(self, event: Event) -> bool:
        """Whether `event` is the one that this act writes."""
        same = (self.action, self.why, self.who) == (event.action, event.why, event.who)
        return same and self.version in ("", event.version)


def begin(root: Path, act: Act) -> str:
    """Note that `act` is about to be written. Returns the mark that its event must have."""
    mark = secrets.token_hex(8)
    note = {"act": dataclasses.asdict(act), "mark": mark, "process": os.getpid(), "began": _began(os.getpid())}
    write_text(root / NOTE, json.dumps(note) + "\n")
    return mark


def repeated(root: Path, act: Act, events: Sequence[Event], finished: Event | None) -> Event | None:
    """The event that a killed command wrote for this same `act`, or None.

    `finished`: the event that was found unfinished and has just been finished.
    """
    if finished is not None and act.is_of(finished):
        return finished
    note = _read(root)
    if note is None or note["act"] != dataclasses.asdict(act) or _is_alive(note["process"], note["began"]):
        return None
    return next((event for event in events if event.mark == note["mark"]), None)


def version_of(root: Path, action: str, name: str, why: str, who: Person) -> str:
    """The version that `name` meant to a killed command with the same arguments, which may have moved that alias.

    '' if there is no such command.
    """
    note = _read(root)
    if note is None or _is_alive(note["process"], note["began"]):
        return ""
    act = note["act"] if isinstance(note["act"], dict) else {}
    given = {"action": action, "name": name, "why": why, "who": dataclasses.asdict(who)}
    return str(act["version"]) if {**act, **given} == act and "version" in act else ""


def end(root: Path) -> None:
    """Delete the note: the person has been told the outcome."""
    (root / NOTE).unlink(missing_ok=True)


def _read(root: Path) -> dict[str, object] | None:
    try:
        note = json.loads((root / NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return note if isinstance(note, dict) and {"act", "mark", "process", "began"} <= note.keys() else None


def _began(process: int) -> float:
    return psutil.Process(process).create_time()


def _is_alive(process: object, began: object) -> bool:
    try:
        return isinstance(process, int) and _began(process) == began
    except psutil.Error:
        return False
