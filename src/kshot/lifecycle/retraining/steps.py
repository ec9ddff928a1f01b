"""The steps of a retraining around its stages: the data it starts from, the judgement it ends with."""

import contextlib
import dataclasses
import importlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kshot.errors import DataError, RegistryError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.gate import decision_record, gate_rules, gate_text, stored_predictions
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.pipeline.durations import Times
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import events, model_versions, promotion
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.report import page
from kshot.lifecycle.tracking import live_run, store
from kshot.lifecycle.tracking.lineage import Lineage
from kshot.params.reader import read_mapping
from kshot.params.schema import load_params


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a retraining came to.

    decision   the word of kshot.decision: promoted, refused, waiting, or what a person made of it
    reasons    the gate's
    repeated   these inputs had been registered and judged before
    until      when a decision that waits expires, in words, '' for others
    answer     what a person said, and who, '' where nobody was asked
    put_right  what an earlier command had left open and this one finished, a sentence each
    decided    when the decision was made, ISO 8601 in UTC, '' where no decision is kept
    """

    version: str
    run_id: str
    origin: Lineage
    decision: str
    reasons: tuple[str, ...]
    repeated: bool
    until: str = ""
    answer: str = ""
    put_right: tuple[str, ...] = ()
    decided: str = ""

    @property
    def promoted(self) -> bool:
        """Whether the version is the champion."""
        return self.decision == "promoted"


def warm_up(root: Path) -> None:
    """Import what a retraining needs first and open the project's own store, while something else is waited for.

    A store that cannot be opened is told by the retraining itself, so that its failure is recorded where it belongs.
    """
    for module in ("dvc.repo.index", "networkx", "scmrepo.git"):  # DVC, and what it imports late
        importlib.import_module(module)

    if "MLFLOW_TRACKING_URI" not in os.environ:  # a server that does not answer would be waited for twice
        with contextlib.suppress(RegistryError):
            store.connect(root)


def ready_data(root: Path) -> data_versions.DataVersion:
    """Return the data version in data/raw, brought from the cache where the folder is missing.

    Raises DataError where there is none, and where data/raw is not what its version says: a model of such data could
    not say where it came from.
    """
    working_copy.mend(root)
    version = data_versions.current(root)
    if version is None:
        raise DataError(
            "there is no data yet; `kshot data add SOURCE` brings your images, `kshot data add glyphs` letters"
        )
    if not (root / layout.RAW).exists():
        data_versions.checkout(root, version)
    if not graph.is_current(root, layout.RAW_DVC.as_posix()):
        raise DataError(data_versions.difference(root, version))
    return version


def register(root: Path, live: live_run.LiveRun, origin: Lineage) -> Registered:
    """Return the version that holds the results of `origin`; a new one, with its run recorded, where there is none."""
    found = model_versions.find_registered(root, origin)
    if found is not None:
        return found
    run_id = live.record(origin, read_mapping(root / "params.yaml"))
    return model_versions.register(root, run_id, origin)


def judge(root: Path, version: Registered, origin: Lineage) -> Outcome:
    """Decide by the rules of today whether `version` may be champion, and move the alias that follows from it.

    A version that was judged by the same rules against the same champion keeps its decision, and so does one about
    which a person decided. With gate.approval manual a promotion waits for a person.
    """
    put_right = promotion.catch_up(root)
    params = load_params(root / "params.yaml")
    manual = params.gate.approval == "manual"
    champion, rules = model_versions.champion(root), gate_rules.rules_hash(params.gate)
    version = model_versions.find(root, version.version)  # as it is after what was put right
    model_versions.require_recorded(version)
    if model_versions.is_settled(version, champion, rules, manual):
        return _outcome(version, origin, repeated=True, put_right=put_right)
    from kshot.lifecycle.gate import (
        evidence,  # here, because torch takes seconds that a repeated retraining need not wait
    )

    found, fresh = evidence.gather(root, champion, origin, params)
    decision = gate_rules.decide(found, params.gate)
    record = decision_record.to_json(found, params.gate, decision)
    if fresh:
        with store.told(store.connect(root)):
            client = store.client()
            record["answered_anew"] = {
                name: stored_predictions.keep(client, version.run_id, results) for name, results in fresh.items()
            }
    until = datetime.now(UTC) + timedelta(hours=params.gate.approval_timeout) if manual else None
    _, said = model_versions.settle(root, version.version, record, rules, until if decision.promote else None)
    judged = _outcome(model_versions.find(root, version.version), origin, repeated=False, put_right=(*put_right, *said))
    return dataclasses.replace(judged, reasons=gate_text.reasons(found, decision.findings))


def _outcome(version: Registered, origin: Lineage, *, repeated: bool, put_right: tuple[str, ...]) -> Outcome:
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
        put_right=put_right,
        decided=version.tags.get("kshot.decided_at", ""),
    )


def verdict(outcome: Outcome) -> str:
    """What became of the version, for the report and Prefect's page."""
    if outcome.until:
        return f"waiting for approval until {outcome.until}"
    words = {"promoted": "champion", "refused": "challenger", "expired": "rejected: nobody answered in time"}
    return words.get(outcome.decision, outcome.decision)


def write_report(root: Path, outcome: Outcome, times: Times | None = None) -> Path:
    """Write reports/report.html and keep a copy with the run, unless the run has one already. Returns its path."""
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
    with store.told(store.connect(root)):
        client = store.client()
        # A run of an earlier retraining may lack it: writing it failed then.
        if not any(one.path == path.name for one in client.list_artifacts(outcome.run_id)):
            client.log_artifact(outcome.run_id, str(path))
    return path
