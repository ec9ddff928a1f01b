"""The files of an attestation that are derived from the audited version: statements, bill of material, model card."""

import json
from typing import Any

from kshot import manifest
from kshot.lifecycle.audit import limits
from kshot.lifecycle.audit.links import code
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.evidence import (
    collected,
    model_card,
    statements,
)
from kshot.lifecycle.evidence.bill_of_material import bill_of_material
from kshot.lifecycle.evidence.collected import Collected
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


def bill(found: Collected, project: str) -> dict[str, Any]:
    subject = found.subject
    served = found.served[manifest.MODEL]
    return bill_of_material(
        project=project,
        version=subject.version,
        decided=found.events[-1].when,
        manifest_sha256=model_manifest.digest(found.files["served-model.json"]),
        served=served,
        weights=sorted(name for name in served if name.startswith("artifacts/embedding/")),
        metrics=found.json("run/metrics.json"),
        groups=found.table("run/evaluation/groups.csv"),
        data_version=subject.tag("data_version"),
        images=len(found.images),
        classes=len({image.label for image in found.images}),
        packages=found.json("run/environment.json")["packages"],
        network=_network(subject)["backbone"],
        limits=_limits(),
    )


def card(found: Collected) -> list[model_card.Section]:
    subject, last = found.subject, found.events[-1]
    metrics, network, known = found.json("run/metrics.json"), _network(subject), found.known
    source = f"added from {known.source} on {known.added[:10]}" if known else "whose source is not recorded"
    classes = len({image.label for image in found.images})
    protocol = found.decision.get("rules", {}).get("group_protocol", "")
    signed = f" (signed by {last.signer})" if last.signer else ""
    return model_card.sections(
        metrics=metrics,
        groups=found.table("run/evaluation/groups.csv"),
        classes=found.table("run/evaluation/classes.csv"),
        splits=collected.classes_by_split(found),
        data=(
            f"{len(found.images):,} images of {classes:,} classes, data version {subject.tag('data_version')}, "
            f"{source}. Licence and rights of the images are not recorded."
        ),
        training=f"{network['adaptation']} training, {network['ingest']['size']} x {network['ingest']['size']} pixels",
        network=network["backbone"],
        decision=f"{last.action} by {last.who.name}{signed}, {minute(last.when)}, event {last.number} of the history.",
        reasons=list(found.decision.get("decision", {}).get("reasons", ())),
        protocol=protocol if protocol in metrics["accuracy"] else ordered_protocols(metrics["accuracy"])[0],
        limits=_limits(),
    )


def _network(subject: Subject) -> dict[str, Any]:
    """The settings of the embedding, from the served model."""
    path = subject.model / "artifacts" / "embedding" / "embedding.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _limits() -> list[str]:
    measured = (
        "All accuracies are those of the test episodes of one data version, drawn once. Other images, and tasks with "
        "more classes or fewer support images, give others: kshot drift and kshot tasks measure that."
    )
    return [measured, *(f"Not verified: {limits.LIMITS[name].replace('`', '')}" for name in LIMITS)]
