"""Appends an event to the history, after the history has been reconciled with MLflow.

A param is written once: the database itself refuses a second writer of the same number with another text. So the
number of an event is a claim that only one of two machines can get.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kshot.errors import RegistryError
from kshot.lifecycle.history import anchor, apply_event, history_run, unfinished
from kshot.lifecycle.history.event_text import moves
from kshot.lifecycle.history.events import (
    CHAMPION,
    MOVED_OUTSIDE,
    NO_DECISION,
    Event,
    EvidenceFile,
    Person,
    later_than,
    may_be_writing,
    person,
    seal,
    to_text,
)
from kshot.lifecycle.history.history import DONE, EVENT, Record, events_of, read
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import own_database
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 5000  # characters of an event without its signature
LONGEST_PARAM = 6000  # characters that MLflow stores
LONGEST_WHY = 2500


class Overtaken(RegistryError):
    """Another decision was recorded first; nothing was changed."""


class Reconciled(NamedTuple):
    """The record in order, sentences about the repairs made, and the event that was found unfinished."""

    record: Record
    repairs: tuple[str, ...]
    finished: Event | None


def reconcile(client: "MlflowClient", root: Path, where: str) -> Reconciled:
    """Put the record in order and return it with the repairs made.

    An event that a crash left unfinished is finished, and a renamed model gets its name back. Aliases that were moved
    outside kshot, or disappeared with a deleted model, are recorded as an event of their own.
    """
    repairs = list(history_run.regain(client, root, where))
    record, finished = read(client, root), None
    own_database.remember(root, record.run_id)
    if record.last is not None and not record.last.done:
        record = _waited_for(client, root, record)
        if record.last is not None and not record.last.done:
            unfinished.require_own_kind(client, root, record.events)
            if record.model:
                apply_event.apply(client, root, record.last)
            _mark_done(client, record.run_id, record.last)
            repairs.append(f"{record.last} had not been finished, and is now")
            record = read(client, root)
            finished = record.last
    if not record.is_consistent:
        what = moves(record.last.after if record.last else {}, record.aliases)
        if record.was_deleted:
            what = [f"the registered model {record.name} was deleted", *what]
        now, why = record.aliases, "found: " + "; ".join(what)
        event = append(root, client, record, NewEvent(MOVED_OUTSIDE, now.get(CHAMPION, ""), now, person(), why))
        repairs.append(f"{event.why.removeprefix('found: ')}, outside kshot; recorded as event {event.number}")
        record = read(client, root)
    anchored = anchor.catch_up(root, record.run_id, record.events)
    return Reconciled(record, (*repairs, *([anchored] if anchored else [])), finished)


@dataclass(frozen=True)
class NewEvent:
    """The fields of an `Event` that whoever decides sets; `append` adds the others.

    mark  mark of an act that was noted before (`acts`); '' for a new one
    """

    action: str
    version: str
    after: dict[str, str]
    who: Person
    why: str
    compared_with: str = ""
    rules: str = ""
    until: str = ""
    proof: EvidenceFile | None = None
    mark: str = ""
    approval: str = ""


def append(
    root: Path,
    client: "MlflowClient",
    record: Record,
    new: NewEvent,
    sign: Callable[[Event], Event] = lambda event: event,
) -> Event:
    """Write an event after the last one of `record`, update aliases and tags, and anchor the event in git if possible.

    `sign` returns the event with its signature, before anything is written. Raises Overtaken, RegistryError for a
    signature that is too long, and what `sign` raises.
    """
    last = record.last
    when, clock = later_than(last, datetime.now(UTC))
    given = replace(new, why=_fitting(new.why), mark=new.mark or secrets.token_hex(8))
    event = sign(
        Event(
            number=len(record.events) + 1,
            when=when,
            clock=clock,
            before=last.after if last else {},
            process=os.getpid(),
            previous=last.hash if last else "",
            manifest=_manifest(client, root, new.version) if new.action not in NO_DECISION else "",
            **vars(given),
        )
    )
    event = seal(event)
    _claim(client, record.run_id, event)
    apply_event.apply(client, root, event)
    _mark_done(client, record.run_id, event)
    anchor.keep(root, record.run_id, (*record.events, event))
    return event


def _manifest(client: "MlflowClient", root: Path, version: str) -> str:
    """The manifest recorded on the version, which the event seals."""
    return str(client.get_model_version(project_name.of(root), version).tags.get(model_manifest.TAG, ""))


def _claim(client: "MlflowClient", run_id: str, event: Event) -> None:
    from mlflow.exceptions import MlflowException

    text = to_text(event)
    assert len(text) - len(event.signature) <= LONGEST, "why is bounded, and the rest is short"
    if len(text) > LONGEST_PARAM:
        raise RegistryError(
            f"with its signature the event has {len(text):,} characters, and MLflow stores {LONGEST_PARAM:,}; sign "
            "with a key of another kind (ssh-keygen -t ed25519 makes one), or shorten the reason"
        )
    try:
        client.log_param(run_id, EVENT.format(event.number), text)
    except MlflowException as error:
        other = next((one for one in events_of(client, run_id) if one.number == event.number), None)
        if other is None or other.hash == event.hash:
            raise
        raise Overtaken(
            f"another decision was recorded first ({other}), so nothing was changed; "
            "look at it with `kshot models`, then try again"
        ) from error


def _mark_done(client: "MlflowClient", run_id: str, event: Event) -> None:
    # The hash rather than a time: two processes that finish the same event write the same value.
    client.log_param(run_id, DONE.format(event.number), event.hash)


def _waited_for(client: "MlflowClient", root: Path, record: Record) -> Record:
    """Wait for the process that writes the last event to finish it, unless no process can be writing it."""
    while record.last is not None and not record.last.done and _may_be_finishing(record.last):
        time.sleep(0.5)
        record = read(client, root)
    return record


def _may_be_finishing(event: Event) -> bool:
    return may_be_writing(event.who.host, event.process, event.when)


def _fitting(why: str) -> str:
    while len(json.dumps(why, ensure_ascii=False)) > LONGEST_WHY:
        why = why[:-50]
    return why
