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
    plan = _parsed(part, f"the change plan recorded with {event} does not have its hash")
    before = part.get("before")
    earlier = _parsed(before, f"the change plan before {event} does not have its hash") if before else None
    changes = tuple(change_plan.PlannedChange(**one) for one in part["changes"])
    left = change_plan.outside(plan, changes, earlier)
    if left != part["outside"]:
        raise Broken(f"the changes outside the plan of {event} do not follow", part["outside"], left)
    if left and event.action == PROMOTED:
        raise Broken(f"{event} is the gate's own, although a change lies outside its plan", "a person", left[0])
    text = f"; {counted(len(changes), 'change')}, {len(left) or 'none'} outside the change plan {plan.sha256[:8]}"
    unchecked = "which plan was in force"
    try:
        if "before" in part:  # older records name only the plan of their commit
            _check_in_force(subject, event, earlier or plan)
        unchecked = "whether these are all changes"
        _check_all_changes(subject, event, record["rules"], changes)
    except RegistryError as error:
        return f"{text}; not checked is {unchecked}: {error}", False
    return text, True


def _parsed(part: dict[str, Any], otherwise: str) -> change_plan.ChangePlan:
    """The recorded plan. Raises Broken, with this message, if it does not have its recorded hash."""
    plan = change_plan.parse(part["text"])
    if plan.sha256 != part["sha256"]:
        raise Broken(otherwise, part["sha256"], plan.sha256)
    return plan


def _check_in_force(subject: Subject, event: Event, plan: change_plan.ChangePlan) -> None:
    """Raises Broken if another plan was in force before the event, RegistryError if that cannot be looked up."""
    assert subject.record is not None
    known = planned_changes.in_force(subject.root, subject.record.events[: event.number - 1])
    if known is not None and known.sha256 != plan.sha256:
        raise Broken(f"the plan in force before {event} was another", known.sha256, plan.sha256)


def _check_all_changes(
    subject: Subject, event: Event, rules: dict[str, Any], changes: tuple[change_plan.PlannedChange, ...]
) -> None:
    """Raises Broken if the two runs differ in other changes, RegistryError if they cannot be compared."""
    champion = event.before.get(CHAMPION)
    if champion in (None, subject.version):
        return
    assert subject.record is not None and champion is not None
    ours, theirs = (model_versions.find(subject.root, one) for one in (subject.version, champion))
    found = planned_changes.gather(subject.root, ours, theirs, subject.record.events[: event.number - 1], rules)
    if found != changes:
        differ = sorted(one.name for one in {*map(_hashable, found)} ^ {*map(_hashable, changes)})
        what = f"the changes recorded with {event} differ from those of both runs"
        raise Broken(what, len(changes), ", ".join(differ))


def _hashable(change: change_plan.PlannedChange) -> change_plan.PlannedChange:
    return change_plan.PlannedChange(change.name, str(change.old), str(change.new))
