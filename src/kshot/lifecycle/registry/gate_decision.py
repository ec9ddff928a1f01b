"""Records the gate's decision about a version as an event, and says whether a decision is final."""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.lifecycle.history import append_event
from kshot.lifecycle.history.events import (
    CHALLENGER,
    CHAMPION,
    PROMOTED,
    REFUSED,
    SIGNED,
    WAITING,
    Event,
    EvidenceFile,
    person,
    with_champion,
)
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry.model_versions import RULES, Registered, named
from kshot.lifecycle.tracking import store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

GATE = "gate"  # who decides when no person does
# Tags that a decision's file repeats about its version: the event names that file by its sha256, so that a run's tags
# and dvc.lock cannot be rewritten together either.
ABOUT = ("lineage", "data_version", "dvc_lock_hash", "episodes_hash")


def record_decision(
    root: Path, version: str, record: dict[str, Any], rules_hash: str, until: datetime | None = None
) -> tuple[Event, tuple[str, ...]]:
    """Record the gate's decision (`decision_record.to_json`) as an event and update the aliases.

    With `until`, a promotion waits for a person until that time. Returns the event and sentences about the repairs
    made first. The event is written before anything else: the next command finishes it if this one crashes.
    A champion that new rules refuse stays champion until a better model replaces it.
    Raises Overtaken if another version became champion since the evidence was gathered, or another decision came first.
    """
    promote = bool(record["decision"]["promote"])
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        client = store.client()
        registered = client.get_model_version(project_name.of(root), version)
        history_record, repairs, _ = append_event.reconcile(client, root, where)
        champion, compared_with = history_record.aliases.get(CHAMPION, ""), record["evidence"]["champion"] or ""
        if champion != compared_with:
            raise append_event.Overtaken(
                f"version {version} was compared with {named(compared_with)}, and now there is "
                f"{named(champion)}; run `kshot retrain` again: it trains nothing and judges again"
            )
        action = REFUSED if not promote else PROMOTED if until is None else WAITING
        about = {name: registered.tags[f"kshot.{name}"] for name in ABOUT if f"kshot.{name}" in registered.tags}
        after = with_champion(history_record.aliases, version) if action == PROMOTED else dict(history_record.aliases)
        if action != PROMOTED and champion != version:
            after[CHALLENGER] = version
        assert registered.run_id is not None
        new = append_event.NewEvent(
            action=action,
            version=version,
            after=after,
            who=person(GATE),
            why=" | ".join(record["decision"]["reasons"]),
            compared_with=compared_with,
            rules=rules_hash,
            until=until.isoformat(timespec="seconds") if action == WAITING and until else "",
            proof=_log_evidence(client, registered.run_id, {**record, "about": about}),
            approval=SIGNED if record["rules"].get("approval") == SIGNED else "",
        )
        event = append_event.append(root, client, history_record, new)
    return event, repairs


def _log_evidence(client: "MlflowClient", run_id: str, record: dict[str, Any]) -> EvidenceFile:
    """Store the record in the run: the newest as decision.json, and each permanently under the hash of its content."""
    text = json.dumps(record, indent=2, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    file = f"decisions/{digest[:16]}.json"
    client.log_text(run_id, text, file)
    client.log_text(run_id, text, "decision.json")
    return EvidenceFile(run_id, file, digest)


def is_decided(found: Registered, now: Registered | None, rules_hash: str, manual: bool = False) -> bool:
    """Whether the decision on `found` still stands, with `now` as champion and these rules.

    The gate's decision stands for the same champion and the same rules; waiting stands while approval is `manual`
    (or `signed`: `manual` is true for both). A version that the gate replaced is judged again against its successor.
    A person's decision stands until a person takes it back: a model that was rejected or rolled back does not return
    by itself.
    """
    decision, champion = found.tags.get("kshot.decision"), now.version if now else ""
    if decision == "promoted":
        return champion == found.version
    if decision in ("rejected", "rolled back"):
        return True
    if decision == "replaced":
        return champion == found.tags.get("kshot.replaced_by")
    if decision in ("refused", "expired") or (decision == "waiting" and manual):
        return found.tags.get(RULES) == rules_hash and found.tags.get("kshot.compared_with", "") == champion
    return False
