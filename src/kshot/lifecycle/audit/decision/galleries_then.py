"""Checks what a decision says about the galleries of `kshot serve`: no gallery that required a person was ignored.

The galleries have changed since, so that their counts cannot be measured again; every figure follows from the counts.
"""

from typing import Any

from kshot.lifecycle.gate import decision_record, gate_rules
from kshot.lifecycle.history.events import PROMOTED, Event
from kshot.lifecycle.project.broken import Broken


def galleries_then(event: Event, record: dict[str, Any]) -> str:
    """Text about the galleries, '' if none was compared. Raises Broken for a promotion that needed a person."""
    if not record["evidence"].get("galleries"):
        return ""
    evidence, rules, _ = decision_record.from_json(record)
    assert evidence.galleries is not None
    if gate_rules.decide(evidence, rules).waits and event.action == PROMOTED:
        raise Broken(f"{event} is the gate's own, although a gallery asks for a person", "a person", str(event))
    count = len(evidence.galleries)
    return f"; {count:,} {'gallery' if count == 1 else 'galleries'} by the counts that were recorded"
