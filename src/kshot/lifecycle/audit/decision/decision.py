"""Checks that the decision follows from its evidence by its rules, and that the history explains the aliases."""

import hashlib
import json
from typing import Any

from kshot.lifecycle.audit.decision import first_decision
from kshot.lifecycle.audit.decision.compared import compared
from kshot.lifecycle.audit.decision.galleries_then import galleries_then
from kshot.lifecycle.audit.decision.planned import planned
from kshot.lifecycle.audit.links import results
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.gate import decision_record, gate_rules
from kshot.lifecycle.gate.gate_text import reasons
from kshot.lifecycle.history import decision_signature
from kshot.lifecycle.history.apply_event import DECISIONS, OF_THE_REPLACED
from kshot.lifecycle.history.champions import champion_periods
from kshot.lifecycle.history.event_chain import broken
from kshot.lifecycle.history.events import CHAMPION, MOVED_OUTSIDE, PROMOTED, REFUSED, SIGNED, WAITING, Event, minute
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.project.tables import counted

DECIDES = {PROMOTED: True, WAITING: True, REFUSED: False}  # events of the gate, and the decision that each requires


def decision(subject: Subject) -> str:
    """Check that evidence follows from stored predictions, decision from evidence and rules, and tags from events."""
    events = _events(subject)
    if not events:
        if word := subject.tags.get("kshot.decision"):
            raise Broken("the version says that it was decided about, and the history does not", "no event", word)
        if subject.aliases.get(CHAMPION) == subject.version:
            raise Broken("the version is champion by no decision: its alias was moved outside kshot")
        raise NotRecorded("nobody has decided about it yet")
    judged = next((event for event in reversed(events) if event.action in DECIDES), None)
    text, whole = _judged(subject, judged) if judged is not None else ("the gate has not judged it", True)
    last = events[-1]
    if last.action == MOVED_OUTSIDE:
        raise Broken(
            f"it became champion by no decision: {last.why.removeprefix('found: ')}, outside kshot; "
            "`kshot rollback` or `kshot promote` makes it a decision",
            recorded="no decision",
            found=str(last),
        )
    word = subject.tags.get("kshot.decision", "")
    if word != DECISIONS[last.action] and word not in OF_THE_REPLACED.values():
        raise Broken("the version says another decision than its last event", DECISIONS[last.action], word or "nothing")
    if last is not judged:
        text += f"; then {last.what} by {last.who}, {minute(last.when)}: {last.why}"
    signed, known = _signatures(subject)
    text, whole = text + signed, whole and known
    if not whole:
        raise NotChecked(text)
    return text


def history(subject: Subject) -> str:
    """Check that the chain of events is complete and explains the aliases; list the times as champion."""
    if subject.record is None:
        raise Broken(subject.trouble, "a history that can be read", "none")
    problems = broken(subject.record.events, subject.aliases)
    if problems:
        raise Broken(
            "; ".join(problems),
            standing(subject.record.last.after if subject.record.last else {}),
            standing(subject.aliases),
        )
    times = [
        f"{minute(period.since.isoformat())} to {minute(period.until.isoformat()) if period.until else 'now'}"
        for period in champion_periods(subject.record.events)
        if period.version == subject.version
    ]
    return f"{counted(len(subject.record.events), 'event')}, each with the hash of the one before; " + (
        f"champion {', '.join(times)}" if times else "never champion"
    )


def standing(aliases: dict[str, str]) -> str:
    """Aliases as text."""
    return ", ".join(f"{alias} is version {version}" for alias, version in sorted(aliases.items())) or "no alias"


def _events(subject: Subject) -> list[Event]:
    """The events that decided about this version, and those that made it champion without a decision."""
    if subject.record is None:
        raise Broken(subject.trouble, "a history that can be read", "none")
    return [
        event
        for event in subject.record.events
        if event.version == subject.version
        and (event.action != MOVED_OUTSIDE or event.before.get(CHAMPION) != event.after.get(CHAMPION))
    ]


def _judged(subject: Subject, event: Event) -> tuple[str, bool]:
    """The event as text, and whether all of its evidence could be checked."""
    record = _record(subject, event)
    for name, value in record.get("about", {}).items():
        if subject.tags.get(f"kshot.{name}") != value:
            raise Broken(f"{event} is about a version with another {name}", value, subject.tags.get(f"kshot.{name}"))
    if (event.approval == SIGNED) != (record["rules"].get("approval") == SIGNED):
        needed = record["rules"].get("approval", "nothing")
        raise Broken(f"{event} says another approval than its evidence", needed, event.approval or "not signed")
    if event.approval == SIGNED and event.action == PROMOTED:
        raise Broken(
            f"{event} is the gate's own, although gate.approval was {SIGNED}", "a person's decision", str(event)
        )
    if (hashed := gate_rules.rules_digest(record["rules"])) != event.rules:
        raise Broken(f"the rules recorded with {event} do not have the hash that it names", event.rules, hashed)
    if decision_record.format_of(record) == 1:
        compared, whole = first_decision.check(subject, event, record, promoted=DECIDES[event.action])
    else:
        compared, whole = _decided_again(subject, event, record)
    changed, known = planned(subject, event, record)
    changed += galleries_then(event, record)
    text = f"{event.action} by the gate, {minute(event.when)}: decided again from the evidence, the same; {compared}"
    return text + changed, whole and known


def _decided_again(subject: Subject, event: Event, record: dict[str, Any]) -> tuple[str, bool]:
    """Text about the comparisons, and whether all could be checked. Raises Broken if evidence or decision differ."""
    evidence, rules, decided = decision_record.from_json(record)
    again = gate_rules.decide(evidence, rules)
    if not decision_record.same_facts(again, decided) or again.promote != DECIDES[event.action]:
        raise Broken(
            f"{event} does not follow from its evidence by its rules",
            facts_text("promote" if decided.promote else "refuse", evidence, decided),
            facts_text("promote" if again.promote else "refuse", evidence, again),
        )
    results.compare("the evidence", evidence.accuracy, results.means(results.episodes(subject), 2))
    return compared(subject, event, evidence, rules, record.get("answered_anew", {}))


def _signatures(subject: Subject) -> tuple[str, bool]:
    """Text about the signatures of persons, and whether all could be checked.

    Raises Broken for a required signature that is missing, and for one by somebody who may not sign.
    """
    assert subject.record is not None
    every = subject.record.events
    found = decision_signature.signatures(subject.root, every)
    ours = [
        (event, found[event.number]) for event in every if event.version == subject.version and event.number in found
    ]
    for event, signature in ours:
        if signature.fails:
            what = "a signature that allowed_signers in git allows"
            raise Broken(f"{event} had to be signed: {signature.says}", what, signature.state)
    text = "".join(f"; event {event.number}: {signature.says}" for event, signature in ours)
    return text, all(signature.state != decision_signature.UNCHECKED for _, signature in ours)


def facts_text(word: str, evidence: gate_rules.Evidence, decided: gate_rules.Decision) -> str:
    """A decision as text."""
    return f"{word}: {' | '.join(reasons(evidence, decided.findings))}"


def _record(subject: Subject, event: Event) -> dict[str, Any]:
    """The evidence, rules and decision of an event, from the file whose sha256 the event names."""
    if event.proof is None:
        raise Broken(f"{event} names no file with its evidence")
    text = subject.file(event.proof.file).read_bytes()
    found = hashlib.sha256(text).hexdigest()
    if found != event.proof.sha256:
        raise Broken(f"{event.proof.file}, the evidence of {event}, was changed", event.proof.sha256, found)
    newest = hashlib.sha256(subject.file("decision.json").read_bytes()).hexdigest()
    if newest != event.proof.sha256:
        raise Broken(
            f"decision.json of run {subject.run_id} is not what {event} decided; "
            f"{event.proof.file} of the run is as it was",
            event.proof.sha256,
            newest,
        )
    record: dict[str, Any] = json.loads(text)
    return record
