"""Writes a person's decision as an event, once, even if its command is killed and repeated (`acts`).

`report` is called with the event before the act's note is deleted: a decision that was not reported counts as not done.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kshot.errors import KshotError
from kshot.lifecycle.history import append_event, decision_signature, history
from kshot.lifecycle.history.events import (
    ROLLED_BACK,
    Event,
    EvidenceFile,
    person,
)
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import acts, model_versions, promotion_checks
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.signatures.signing_key import SigningKey
from kshot.lifecycle.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

Report = Callable[[Event], object]


def silent(event: Event) -> None:
    """Report nothing: the caller reports the event."""


class Request(NamedTuple):
    """A person's request.

    action  the event's action
    why     the reason, on one line
    by      the name given
    key     what they sign with
    report  called with the event
    """

    action: str
    why: str
    by: str
    key: SigningKey
    report: Report


class Decision(NamedTuple):
    """The content of the event: its version, the aliases after it, and the champion it was compared with."""

    found: Registered
    after: dict[str, str]
    compared_with: str


def decided(
    root: Path, name: str | None, request: Request, decide: Callable[["MlflowClient", history.Record, Any], Decision]
) -> Event:
    """Write the decision of `decide` on version `name` as an event, unless a killed run of this command already did."""
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        client = store.client()
        who, named = person(promotion_checks.name(request.by)), name or ""
        version = acts.version_of(root, request.action, named, request.why, who) or _version_for(root, client, name)
        record, _, finished = append_event.reconcile(client, root, where)
        act = acts.Act(request.action, named, version, request.why, who)
        event = acts.repeated(root, act, record.events, finished)
        if event is None:
            found = model_versions.find(root, version) if version else None
            event = _append(client, root, record, act, decide(client, record, found), request.key)
    request.report(event)
    acts.end(root)
    return event


def _version_for(root: Path, client: "MlflowClient", name: str | None) -> str:
    """The number of the named version, '' if none is named. Raises RegistryError for an unknown one.

    An alias that a killed command has already moved means the version it pointed to when the command was given.
    """
    if name is None:
        model_versions.require_any(client, root)
        return ""
    last = history.read(client, root).last
    if last is not None and not last.done and name in last.before:
        return last.before[name]
    return model_versions.find(root, name).version


def _append(
    client: "MlflowClient",
    root: Path,
    record: history.Record,
    act: acts.Act,
    decision: Decision,
    key: SigningKey,
) -> Event:
    found = decision.found
    mark = acts.begin(root, act)

    def sign(event: Event) -> Event:
        try:
            return decision_signature.signed(root, event, record.events, key)
        except KshotError:
            acts.end(root)  # nothing will be written
            raise

    rolled_back = act.action == ROLLED_BACK
    new = append_event.NewEvent(
        action=act.action,
        version=found.version,
        after=decision.after,
        who=act.who,
        why=act.why,
        compared_with=decision.compared_with,
        rules="" if rolled_back else found.tags.get(model_versions.RULES, ""),
        proof=_evidence_file(record, found.version),
        mark=mark,
        approval=decision_signature.setting(root),
    )
    return append_event.append(root, client, record, new, sign)


def _evidence_file(record: history.Record, version: str) -> EvidenceFile | None:
    """The evidence of the gate's last judgement of the version."""
    return next((one.proof for one in reversed(record.events) if one.version == version and one.proof), None)
