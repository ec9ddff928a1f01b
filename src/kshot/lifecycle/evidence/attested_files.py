"""The content of an attestation that is derived from the audited version: statements, and the facts about the model."""

import json
from typing import Any

from kshot import manifest
from kshot.lifecycle.audit import limits
from kshot.lifecycle.audit.links import code
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.evidence import collected, statements
from kshot.lifecycle.evidence.collected import Collected
from kshot.lifecycle.evidence.described_model import DescribedModel
from kshot.lifecycle.gate.gate_rules import ordered_protocols
from kshot.lifecycle.history.events import minute
from kshot.lifecycle.serving import model_manifest

LIMITS = ("source", "between", "packages", "persons", "clocks")  # of an audit, that concern a reader of the card


def erased(found: Collected) -> dict[str, Any]:
    """Files of the served model that were erased since it was registered, and the sha256 of its manifest now."""
    subject = found.subject
    if not subject.erased_example:
        return {}
    gone = sorted(found.served[manifest.MODEL].keys() - subject.sealed.model.keys())
    return {"erased": {"files": gone, "manifest": manifest.file_sha256(subject.model / manifest.FILE)}}


def stage_statements(subject: Subject) -> dict[str, dict[str, Any]]:
    commit = subject.tags.get("kshot.git_commit", "")
    return statements.statements(subject.lock, subject.run_id, commit, code.made_by(subject).version)


def described(found: Collected, project: str) -> DescribedModel:
    subject, last = found.subject, found.events[-1]
    metrics, network, known = found.json("run/metrics.json"), _network(subject), found.known
    signed = f" (signed by {last.signer})" if last.signer else ""
    protocol = found.decision.get("rules", {}).get("group_protocol", "")
    weights = {
        name: value for name, value in found.served[manifest.MODEL].items() if name.startswith("artifacts/embedding/")
    }
    return DescribedModel(
        project=project,
        version=subject.version,
        decided=last.when,
        decision=f"{last.action} by {last.who.name}{signed}, {minute(last.when)}, event {last.number} of the history.",
        manifest_sha256=model_manifest.digest(found.files["served-model.json"]),
        weights=weights,
        network=network["backbone"],
        training=f"{network['adaptation']} training, {network['ingest']['size']} x {network['ingest']['size']} pixels",
        metrics=metrics,
        protocol=protocol if protocol in metrics["accuracy"] else ordered_protocols(metrics["accuracy"])[0],
        data_version=subject.tag("data_version"),
        images=len(found.images),
        source=f"added from {known.source} on {known.added[:10]}" if known else "whose source is not recorded",
        splits=collected.classes_by_split(found),
        groups=found.table("run/evaluation/groups.csv"),
        classes=found.table("run/evaluation/classes.csv"),
        class_count=len({image.label for image in found.images}),
        packages=found.json("run/environment.json")["packages"],
        reasons=tuple(found.decision.get("decision", {}).get("reasons", ())),
        limits=_limits(),
    )


def _network(subject: Subject) -> dict[str, Any]:
    """The settings of the embedding, from the served model."""
    path = subject.model / "artifacts" / "embedding" / "embedding.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _limits() -> tuple[str, ...]:
    measured = (
        "All accuracies are those of the test episodes of one data version, drawn once. Other images, and tasks with "
        "more classes or fewer support images, give others: kshot drift and kshot tasks measure that."
    )
    return measured, *(f"Not verified: {limits.LIMITS[name].replace('`', '')}" for name in LIMITS)
