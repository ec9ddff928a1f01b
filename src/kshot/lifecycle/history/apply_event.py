"""Applies an event to MLflow's aliases and tags. Idempotent, so it can be run again after a crash."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.history.events import (
    APPROVED,
    CHALLENGER,
    CHAMPION,
    EXPIRED,
    NO_DECISION,
    PROMOTED,
    PROMOTED_BY_HAND,
    REFUSED,
    REJECTED,
    ROLLED_BACK,
    WAITING,
    Event,
    minute,
)
from kshot.lifecycle.tracking import store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

# The value of the version's tag kshot.decision after each event.
DECISIONS = {
    PROMOTED: "promoted",
    APPROVED: "promoted",
    PROMOTED_BY_HAND: "promoted",
    ROLLED_BACK: "promoted",
    REFUSED: "refused",
    WAITING: "waiting",
    REJECTED: "rejected",
    EXPIRED: "expired",
}
# The same tag on the champion that a person replaced: no later run of the gate may undo that by itself.
OF_THE_REPLACED = {PROMOTED_BY_HAND: "replaced", ROLLED_BACK: "rolled back"}


# Every tag that an event can write on a version.
DECISION_TAGS = frozenset(
    f"kshot.{name}"
    for name in (
        *("decision", "decided_at", "decided_by", "event", "reasons", "compared_with", "rules_hash", "waiting_until"),
        *("approval", "replaced_by"),
    )
)


def tags_after(events: Sequence[Event]) -> dict[str, dict[str, str]]:
    """The tags of each version after these events, applied in order."""
    found: dict[str, dict[str, str]] = {}
    for event in events:
        if event.action in NO_DECISION:
            continue
        found.setdefault(event.version, {}).update(_tags(event))
        replaced = event.before.get(CHAMPION)
        if replaced is not None and replaced != event.after.get(CHAMPION):
            found.setdefault(replaced, {}).update(_tags_of_the_replaced(event))
    return found


def apply(client: "MlflowClient", root: Path, event: Event) -> None:
    """Move the aliases to where the event leaves them and write the tags of the versions that it concerns.

    The alias champion moves in one write, so there is always a champion.
    """
    if event.action in NO_DECISION:
        return
    name = project_name.of(root)
    for alias in (CHAMPION, CHALLENGER):
        version = event.after.get(alias)
        if version == event.before.get(alias):
            continue
        if version is not None:
            client.set_registered_model_alias(name, alias, version)
        else:
            client.delete_registered_model_alias(name, alias)
    for version, tags in tags_after([event]).items():
        # MLflow asks for the model again with each tag that is written.
        there = client.get_model_version(name, version).tags
        for key, value in tags.items():
            if there.get(key, "") != value:
                client.set_model_version_tag(name, version, key, value)


def _tags(event: Event) -> dict[str, str]:
    tags = {
        "kshot.decision": DECISIONS[event.action],
        "kshot.decided_at": event.when,
        "kshot.decided_by": event.by,
        "kshot.event": str(event.number),
    }
    # A response to a waiting version does not change the gate's reasons, the champion compared with or the rules.
    is_response = event.action in (APPROVED, REJECTED, EXPIRED)
    if not is_response:
        tags |= {
            "kshot.reasons": event.why,
            "kshot.compared_with": event.compared_with,
            "kshot.rules_hash": event.rules,
            "kshot.waiting_until": event.until,
            "kshot.approval": f"waiting for approval until {minute(event.until)}" if event.until else "",
        }
    elif event.action == EXPIRED:
        tags["kshot.approval"] = f"rejected: {event.why}"
    else:
        tags["kshot.approval"] = f"{event.action} by {event.by}: {event.why}"[: store.LONGEST_TAG]
    return tags


def _tags_of_the_replaced(event: Event) -> dict[str, str]:
    tags = {"kshot.replaced_by": event.after.get(CHAMPION, "")}
    if event.action in OF_THE_REPLACED:
        tags["kshot.decision"] = OF_THE_REPLACED[event.action]
        tags["kshot.approval"] = f"{event.action} by {event.by}: {event.why}"[: store.LONGEST_TAG]
    return tags
