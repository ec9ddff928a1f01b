"""The event that seals an erasure in the promotion history, and what sealed erasures change of a model's record."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.data import erasures
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.history import append_event, history, history_run
from kshot.lifecycle.history.events import ERASED, Event, Person, person
from kshot.lifecycle.history.history import Record
from kshot.lifecycle.project.broken import Broken, Erased
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

SEAL = re.compile(r"erasure ([0-9a-f]{64}): ")


def seal(root: Path, erasure: Erasure, who: Person) -> Event | None:
    """Write the event of an erasure, once; None if no model was ever registered here, so that there is no history.

    Raises RegistryError as every decision.
    """
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        client = store.client()
        if history_run.registered(client, root) is None:
            return None
        record, _, _ = append_event.reconcile(client, root, where)
        return _sealed(client, root, record, erasure, who)


def seal_earlier(client: "MlflowClient", root: Path) -> None:
    """Write the events of erasures from before the first model, when there was no history to write them to.

    Only before the first decision: a line that is added by hand later is not sealed. Within the registry's lock.
    """
    for one in erasures.read(root):
        record = history.read(client, root)
        if all(event.action == ERASED for event in record.events):
            _sealed(client, root, record, one, person())


def _sealed(client: "MlflowClient", root: Path, record: Record, erasure: Erasure, who: Person) -> Event:
    known = next((event for event in record.events if digest_of(event) == erasure.digest), None)
    why = f"erasure {erasure.digest}: {counted(len(erasure.images), 'image')}: {erasure.reason}"
    new = append_event.NewEvent(ERASED, "", record.aliases, who, why)
    return known or append_event.append(root, client, record, new)


def digest_of(event: Event) -> str:
    """The sha256 of the erasure that an event seals, '' for another event."""
    found = SEAL.match(event.why) if event.action == ERASED else None
    return found[1] if found else ""


def require_sealed(gone: Erased, events: Iterable[Event] | None) -> None:
    """Raise Broken unless an event seals each erasure of `gone`. `events` None: there is no history to ask."""
    if events is None:
        return
    sealed = {digest_of(event) for event in events}
    unsealed = [digest for digest in gone.digests if digest not in sealed]
    if unsealed:
        raise Broken(
            f"{gone} -- and no event of the history names that line of data/erasures.jsonl: it was added or changed by "
            "hand, or `kshot forget` was ended before its event: run the same command again",
            "an event with its sha256",
            "none",
        )


def manifest_now(root: Path, recorded: str, events: Sequence[Event]) -> tuple[str, Erasure | None]:
    """The sha256 that a model's manifest must have, and the sealed erasure that deleted its input example, if any."""
    sealed = {digest_of(event) for event in events} - {""}
    for one in erasures.read(root) if sealed and recorded else []:
        if recorded in one.manifests and one.digest in sealed:
            return one.manifests[recorded], one
    return recorded, None
