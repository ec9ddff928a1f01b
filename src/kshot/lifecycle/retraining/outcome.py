"""The outcome of a retraining: the version, the decision about it, and the report that shows both."""

import dataclasses
from pathlib import Path

from kshot.lifecycle.history import events
from kshot.lifecycle.pipeline.durations import Times
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.report import page
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import Lineage


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a retraining.

    decision   value of kshot.decision: promoted, refused, waiting, or a person's decision
    reasons    the gate's reasons
    repeated   these inputs had already been registered and judged
    until      when a waiting decision expires, as text, '' for others
    answer     a person's decision, and who made it; '' if none was needed
    repairs    what an earlier command left unfinished and this one finished, one sentence each
    decided    when the decision was made, ISO 8601 in UTC, '' if no decision is recorded
    """

    version: str
    run_id: str
    origin: Lineage
    decision: str
    reasons: tuple[str, ...]
    repeated: bool
    until: str = ""
    answer: str = ""
    repairs: tuple[str, ...] = ()
    decided: str = ""

    @property
    def promoted(self) -> bool:
        """Whether the version is the champion."""
        return self.decision == "promoted"


def outcome_of(version: Registered, origin: Lineage, *, repeated: bool, repairs: tuple[str, ...]) -> Outcome:
    """The outcome that the tags of a judged version record."""
    decision, reasons = model_versions.decision_of(version)
    until = version.tags.get("kshot.waiting_until", "") if decision == "waiting" else ""
    return Outcome(
        version.version,
        version.run_id,
        origin,
        decision,
        reasons,
        repeated,
        until=events.minute(until) if until else "",
        answer="" if decision == "waiting" else version.tags.get("kshot.approval", ""),
        repairs=repairs,
        decided=version.tags.get("kshot.decided_at", ""),
    )


def verdict(outcome: Outcome) -> str:
    """The version's status, for the report and Prefect's page."""
    if outcome.until:
        return f"waiting for approval until {outcome.until}"
    names = {"promoted": "champion", "refused": "challenger", "expired": "rejected: nobody answered in time"}
    return names.get(outcome.decision, outcome.decision)


def write_report(root: Path, outcome: Outcome, times: Times | None = None) -> Path:
    """Write reports/report.html and store a copy in the run, unless the run has one. Returns its path."""
    origin = {name.removeprefix("kshot.").replace("_", " "): value for name, value in outcome.origin.tags().items()}
    decided = {"decided": events.minute(outcome.decided)} if outcome.decided else {}
    facts = page.ReportFacts(
        lineage={**decided, **origin, "MLflow run": outcome.run_id},
        decision=verdict(outcome),
        reasons=(*([outcome.answer] if outcome.answer else []), *outcome.reasons),
        version=outcome.version,
        on=outcome.decided[:10],
        times=times,
    )
    path = page.write_report(root, root / layout.REPORT, facts)
    with store.translated_errors(store.connect(root)):
        client = store.client()
        # The run of an earlier retraining may lack it, if writing it failed.
        if not any(one.path == path.name for one in client.list_artifacts(outcome.run_id)):
            client.log_artifact(outcome.run_id, str(path))
    return path
