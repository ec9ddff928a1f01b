"""Checks an unfinished event before a command carries it out: another client of MLflow may have written it.

kshot writes an event only after these checks, so that its own pass them after a kill.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history import decision_signature
from kshot.lifecycle.history.event_chain import broken
from kshot.lifecycle.history.events import (
    APPROVED,
    CHALLENGER,
    CHAMPION,
    EXPIRED,
    GATE_ACTIONS,
    NO_DECISION,
    PROMOTED,
    PROMOTED_BY_HAND,
    REFUSED,
    REJECTED,
    ROLLED_BACK,
    SIGNED,
    WAITING,
    Event,
    with_champion,
    without,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient


def require_own_kind(client: "MlflowClient", root: Path, events: Sequence[Event]) -> None:
    """Raise RegistryError unless the last event, which is not finished, is one that kshot would have written."""
    event = events[-1]
    sentences = [
        *broken((*events[:-1], dataclasses.replace(event, done=True)), event.after),
        _aliases(event),
        _decision(events) or _evidence(client, event),
        _signature(root, events),
    ]
    wrong = next((one for one in sentences if one), "")
    if wrong:
        raise RegistryError(
            f"{event} was begun and not finished, and is not carried out, because kshot would not have written it: "
            f"{wrong}; bring MLflow's database back from a copy that was made before it"
        )


def _aliases(event: Event) -> str:
    """The fault of the aliases that the event leaves; '' if they follow from its action."""
    before, version = event.before, event.version
    challenger = before if before.get(CHAMPION) == version else {**before, CHALLENGER: version}
    left = without(before, version)
    kept = {**left, CHAMPION: version} if before.get(CHAMPION) == version else left
    allowed = {
        **dict.fromkeys((PROMOTED, APPROVED, PROMOTED_BY_HAND, ROLLED_BACK), with_champion(before, version)),
        **dict.fromkeys((REFUSED, WAITING), challenger),
        REJECTED: left,
        EXPIRED: kept,
    }
    if event.action in NO_DECISION:
        return ""  # they record the aliases as they are and move none
    if event.action not in allowed:
        return f"kshot knows no action {event.action!r}"
    wanted = allowed[event.action]
    return "" if event.after == wanted else f"{event.action} leaves the aliases {wanted}, and it says {event.after}"


def _decision(events: Sequence[Event]) -> str:
    """What is missing before the decision; '' if it could be made."""
    event, before = events[-1], [one for one in events[:-1] if one.action not in NO_DECISION]
    if event.action in GATE_ACTIONS:
        if event.proof is None:
            return "a decision of the gate names its evidence, and it has none"
        if event.action == PROMOTED and event.approval == SIGNED:
            return f"gate.approval was {SIGNED}, and the gate then promotes nothing by itself"
        return ""
    judged = next((one for one in reversed(before) if one.version == event.version), None)
    if event.action in (APPROVED, EXPIRED) and (judged is None or judged.action != WAITING):
        return f"version {event.version} did not wait for approval"
    if event.action == ROLLED_BACK and all(one.after.get(CHAMPION) != event.version for one in before):
        return f"version {event.version} never was champion"
    return ""


def _evidence(client: "MlflowClient", event: Event) -> str:
    """The fault of the evidence of a decision of the gate; '' if the event's decision follows from it."""
    import mlflow
    from mlflow.exceptions import MlflowException

    proof = event.proof
    if event.action not in GATE_ACTIONS or proof is None:
        return ""
    try:
        text = mlflow.artifacts.load_text(f"{client.get_run(proof.run_id).info.artifact_uri}/{proof.file}")
        promotes = json.loads(text)["decision"]["promote"]
    except (OSError, MlflowException, ValueError, LookupError, TypeError):
        return f"its evidence, {proof.file} of run {proof.run_id}, cannot be read"
    if hashlib.sha256(text.encode()).hexdigest() != proof.sha256:
        return f"its evidence, {proof.file} of run {proof.run_id}, is not the one that it names"
    return "" if promotes == (event.action != REFUSED) else f"its evidence does not say {event.action}"


def _signature(root: Path, events: Sequence[Event]) -> str:
    """The fault of the signature of a person's decision; '' if it is in order or none is required."""
    found = decision_signature.signatures(root, events).get(events[-1].number)
    if found is None or not found.required or found.state == decision_signature.VALID:
        return ""
    return found.says
