"""The steps of a retraining around its stages: the data it starts from, the judgement it ends with."""

import dataclasses
import hashlib
import json
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle import dataset, gate, layout, pipeline, registry, report, store, tracking
from kshot.lifecycle.lineage import Lineage
from kshot.lifecycle.registry import Registered
from kshot.params import Params, load_params
from kshot.sections import read_mapping


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a retraining came to. `repeated`: these inputs had been registered and judged before."""

    version: str
    run_id: str
    origin: Lineage
    promoted: bool
    reasons: tuple[str, ...]
    repeated: bool


def ready_data(root: Path) -> dataset.DataVersion:
    """Return the data version in data/raw, brought from the cache where the folder is missing.

    Raises DataError where there is none, and where data/raw is not what its version says: a model of such data could
    not say where it came from.
    """
    version = dataset.current(root)
    if version is None:
        raise DataError(
            "there is no data yet; `kshot data add SOURCE` brings your images, `kshot data add glyphs` letters"
        )
    dataset.checkout(root, version)
    if not pipeline.is_current(root, layout.RAW_DVC.as_posix()):
        raise DataError(
            f"{layout.RAW} is not what data version {version.short} says: files were changed there by hand; "
            f"drop the changes with `dvc checkout --force {layout.RAW_DVC}`, and bring new images by `kshot data add`"
        )
    return version


def register(root: Path, live: tracking.LiveRun, origin: Lineage) -> Registered:
    """Return the version that holds the results of `origin`; a new one, with its run recorded, where there is none."""
    found = registry.find_registered(root, origin)
    if found is not None:
        return found
    run_id = live.record(origin, read_mapping(root / "params.yaml"))
    return registry.register(root, run_id, origin)


def judge(root: Path, version: Registered, origin: Lineage) -> Outcome:
    """Decide by the rules of today whether `version` may be champion, and move the alias that follows from it.

    A version that was judged by the same rules against the same champion keeps its decision.
    """
    params = load_params(root / "params.yaml")
    champion, rules = registry.champion(root), rules_hash(params)
    if registry.is_settled(version, champion, rules):
        promoted, reasons = registry.decision_of(version)
        return Outcome(version.version, version.run_id, origin, promoted, reasons, repeated=True)
    from kshot.lifecycle import evidence  # here, because torch takes seconds that a repeated retraining need not wait

    found = evidence.gather(root, champion, origin, params)
    decision = gate.decide(found, params.gate)
    registry.settle(root, version.version, gate.to_json(found, params.gate, decision), rules)
    return Outcome(version.version, version.run_id, origin, decision.promote, decision.reasons, repeated=False)


def rules_hash(params: Params) -> str:
    """Return 16 hex digits that stand for the rules of the gate."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(params.gate), sort_keys=True).encode()).hexdigest()[:16]


def write_report(root: Path, outcome: Outcome) -> Path:
    """Write reports/report.html and keep a copy with the run, unless the run has it already. Returns its path."""
    origin = {name.removeprefix("kshot.").replace("_", " "): value for name, value in outcome.origin.tags().items()}
    facts = report.ReportFacts(
        lineage={**origin, "MLflow run": outcome.run_id},
        decision="champion" if outcome.promoted else "challenger",
        reasons=outcome.reasons,
        version=outcome.version,
    )
    path = report.write_report(root, root / layout.REPORT, facts)
    if not outcome.repeated:
        import mlflow

        with store.told(store.connect(root)):
            mlflow.MlflowClient().log_artifact(outcome.run_id, str(path))
    return path
