"""Checks what a decision's record says about the change plan: its hash, the changes, and those outside it."""

from typing import Any

from kshot.errors import RegistryError
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.gate import change_plan, planned_changes
from kshot.lifecycle.history.events import CHAMPION, PROMOTED, Event
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.registry import model_versions


def planned(subject: Subject, event: Event, record: dict[str, Any]) -> tuple[str, bool]:
    """Text about the change plan, and whether the changes could be gathered again. Raises Broken if they differ."""
    part = record.get("change_plan")
    if part is None:
        return "", True
    plan = change_plan.parse(part["text"])
    if plan.sha256 != part["sha256"]:
        raise Broken(f"the change plan recorded with {event} does not have its hash", part["sha256"], plan.sha256)
    other = part.get("before")
    earlier = change_plan.parse(other["text"]) if other else None
    if earlier is not None and earlier.sha256 != other["sha256"]:
        raise Broken(f"the change plan before {event} has not its hash", other["sha256"], earlier.sha256)
    changes = tuple(change_plan.PlannedChange(**one) for one in part["changes"])
    left = change_plan.outside(plan, changes, earlier)
    if left != part["outside"]:
        raise Broken(f"the changes outside the plan of {event} do not follow", part["outside"], left)
    if left and event.action == PROMOTED:
        raise Broken(f"{event} is the gate's own, although a change lies outside its plan", "a person", left[0])
    words = f"; {counted(len(changes), 'change')}, {len(left) or 'none'} outside the change plan {plan.sha256[:8]}"
    if "before" in part:  # older records name the plan of their commit alone
        assert subject.record is not None
        try:
            known = planned_changes.in_force(subject.root, subject.record.events[: event.number - 1])
        except RegistryError as error:
            return f"{words}; not checked is which plan was in force: {error}", False
        if known is not None and known.sha256 != (earlier or plan).sha256:
            raise Broken(f"the plan in force before {event} was another", known.sha256, (earlier or plan).sha256)
    champion = event.before.get(CHAMPION)
    if champion in (None, subject.version):
        return words, True
    assert subject.record is not None and champion is not None
    try:
        ours, theirs = (model_versions.find(subject.root, one) for one in (subject.version, champion))
        before = subject.record.events[: event.number - 1]
        found = planned_changes.gather(subject.root, ours, theirs, before, record["rules"])
    except RegistryError as error:
        return f"{words}; not checked is whether these are all changes: {error}", False
    if found != changes:
        differ = sorted(one.name for one in {*map(_hashable, found)} ^ {*map(_hashable, changes)})
        what = f"the changes recorded with {event} differ from those of both runs"
        raise Broken(what, len(changes), ", ".join(differ))
    return words, True


def _hashable(change: change_plan.PlannedChange) -> change_plan.PlannedChange:
    return change_plan.PlannedChange(change.name, str(change.old), str(change.new))
