"""OpenLineage run events (spec 2-0-2, https://openlineage.io/spec) of one flow run, as JSON values."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import layout
from kshot.params import project_name
from kshot.redaction import redacted

State = Literal["START", "COMPLETE", "FAIL", "ABORT"]
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
FACETS = "https://openlineage.io/spec/facets"
DATASET_VERSION = f"{FACETS}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
JOB_TYPE = f"{FACETS}/2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet"
ERROR = f"{FACETS}/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"


@dataclass(frozen=True)
class Decided:
    """The outcome of a flow: a registered version, what was decided about it, and why."""

    version: str
    decision: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """A run of a flow.

    run_id    a UUID
    measures  whether it works on the project's data version and writes reports/metrics.json; else it only decides
    """

    name: str
    run_id: str
    measures: bool


def run_event(
    root: Path, flow: Flow, state: State, decided: Decided | None = None, error: BaseException | None = None
) -> dict[str, Any]:
    """The event of the flow, redacted: data version as input, registered version with its accuracies as output."""
    namespace = f"kshot:{project_name.of(root)}"
    run_facets: dict[str, Any] = {}
    if decided is not None:
        about = {"version": decided.version, "decision": decided.decision, "reasons": list(decided.reasons)}
        run_facets["kshot_decision"] = _facet(f"{SPEC}/RunFacet", about)
    if error is not None:
        text = {"message": str(error) or type(error).__name__, "programmingLanguage": "python"}
        run_facets["errorMessage"] = _facet(ERROR, text)
    kind = {"processingType": "BATCH", "integration": "KSHOT", "jobType": "FLOW"}
    event = {
        "eventType": state,
        "eventTime": datetime.now(UTC).isoformat(),
        "producer": _producer(),
        "schemaURL": f"{SPEC}/RunEvent",
        "run": {"runId": flow.run_id, "facets": run_facets},
        "job": {"namespace": namespace, "name": flow.name, "facets": {"jobType": _facet(JOB_TYPE, kind)}},
        "inputs": _inputs(root, namespace) if flow.measures else [],
        "outputs": [_model(root, namespace, flow, decided.version)] if decided is not None else [],
    }
    found: dict[str, Any] = _redacted(event)
    return found


def _inputs(root: Path, namespace: str) -> list[dict[str, Any]]:
    """The data version, [] before there is one."""
    data = data_versions.current(root)
    return [] if data is None else [_dataset(namespace, layout.RAW.as_posix(), data.md5, {})]


def _model(root: Path, namespace: str, flow: Flow, version: str) -> dict[str, Any]:
    return _dataset(namespace, layout.MODEL.as_posix(), version, _accuracies(root) if flow.measures else {})


def _accuracies(root: Path) -> dict[str, Any]:
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    figures = {
        name: {key: one[key] for key in ("mean", "low", "high", "episodes")}
        for name, one in metrics["accuracy"].items()
    }
    return {"kshot_accuracy": _facet(f"{SPEC}/DatasetFacet", {"accuracy": figures})}


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
