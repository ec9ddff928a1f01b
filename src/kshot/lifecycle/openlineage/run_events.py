"""OpenLineage run events (spec 2-0-2, https://openlineage.io/spec) of flows and decisions, as JSON values."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import model_versions, registration
from kshot.params import project_name
from kshot.redaction import redacted

Accuracies = dict[str, dict[str, float]]  # protocol to mean, low, high and, where measured now, episodes
State = Literal["START", "COMPLETE", "FAIL", "ABORT"]
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
FACETS = "https://openlineage.io/spec/facets"
DATASET_VERSION = f"{FACETS}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
JOB_TYPE = f"{FACETS}/2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet"
ERROR = f"{FACETS}/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"


@dataclass(frozen=True)
class Decided:
    """The outcome of a run: a registered version, its decision, and the reasons."""

    version: str
    decision: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class LineageRun:
    """A run of the job `name`.

    run_id    a UUID
    measures  whether it works on the project's data version and writes reports/metrics.json; else it only decides
    kind      of the job
    """

    name: str
    run_id: str
    measures: bool
    kind: Literal["FLOW", "COMMAND"]


def run_event(
    root: Path, run: LineageRun, state: State, decided: Decided | None = None, error: BaseException | None = None
) -> dict[str, Any]:
    """The event of the run, redacted: data version as input, registered version with its accuracies as output.

    A decision names those that the version was registered with: the project may have others by now.
    """
    namespace = f"kshot:{project_name.of(root)}"
    run_facets: dict[str, Any] = {}
    if decided is not None:
        about = {"version": decided.version, "decision": decided.decision, "reasons": list(decided.reasons)}
        run_facets["kshot_decision"] = _facet(f"{SPEC}/RunFacet", about)
    if error is not None:
        text = {"message": str(error) or type(error).__name__, "programmingLanguage": "python"}
        run_facets["errorMessage"] = _facet(ERROR, text)
    kind = {"processingType": "BATCH", "integration": "KSHOT", "jobType": run.kind}
    data, accuracies = _measured(root, decided) if run.measures else _registered(root, decided)
    event = {
        "eventType": state,
        "eventTime": datetime.now(UTC).isoformat(),
        "producer": _producer(),
        "schemaURL": f"{SPEC}/RunEvent",
        "run": {"runId": run.run_id, "facets": run_facets},
        "job": {"namespace": namespace, "name": run.name, "facets": {"jobType": _facet(JOB_TYPE, kind)}},
        "inputs": [_dataset(namespace, layout.RAW.as_posix(), data, {})] if data else [],
        "outputs": [_model(namespace, decided.version, accuracies)] if decided is not None else [],
    }
    found: dict[str, Any] = _redacted(event)
    return found


def _measured(root: Path, decided: Decided | None) -> tuple[str, Accuracies]:
    """The project's data version, '' before there is one, and the accuracies of the model that was decided about."""
    data = data_versions.current(root)
    if decided is None:
        return data.md5 if data else "", {}
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    keys = ("mean", "low", "high", "episodes")
    figures = {name: {key: one[key] for key in keys} for name, one in metrics["accuracy"].items()}
    return data.md5 if data else "", figures


def _registered(root: Path, decided: Decided | None) -> tuple[str, Accuracies]:
    """The data version and the accuracies that the version was registered with."""
    if decided is None:
        return "", {}
    tags = model_versions.find(root, decided.version).tags
    scores = json.loads(tags.get(registration.ACCURACY, "{}"))
    figures = {name: dict(zip(("mean", "low", "high"), score, strict=True)) for name, score in scores.items()}
    return tags.get("kshot.data_version", ""), figures


def _model(namespace: str, version: str, accuracies: Accuracies) -> dict[str, Any]:
    facets = {"kshot_accuracy": _facet(f"{SPEC}/DatasetFacet", {"accuracy": accuracies})} if accuracies else {}
    return _dataset(namespace, layout.MODEL.as_posix(), version, facets)


def _dataset(namespace: str, name: str, version: str, facets: dict[str, Any]) -> dict[str, Any]:
    about = {"version": _facet(DATASET_VERSION, {"datasetVersion": version}), **facets}
    return {"namespace": namespace, "name": name, "facets": about}


def _facet(schema: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"_producer": _producer(), "_schemaURL": schema, **content}


def _producer() -> str:
    return f"urn:kshot:{version('kshot')}"


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _redacted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_redacted(one) for one in value]
    return redacted(value) if isinstance(value, str) else value
