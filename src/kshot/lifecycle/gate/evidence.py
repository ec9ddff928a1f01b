"""Gathers the evidence for a decision: challenger, champion and reference on the same test episodes."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from kshot.data.images import Packed, pack
from kshot.errors import DataError, KshotError, RegistryError
from kshot.evaluation.inference import load_inference
from kshot.lifecycle.data.packed import of_splits, read_classes, read_manifest
from kshot.lifecycle.gate import reference
from kshot.lifecycle.gate.gate_rules import BEST, CHAMPION, FIXED, Comparison, Evidence, ordered_protocols
from kshot.lifecycle.gate.paired import Results, compared, read_results
from kshot.lifecycle.history import history
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.stages.evaluation.predictions import Predictions, predict
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import Lineage
from kshot.methods.saving import load_method
from kshot.nets.embedding import load_settings
from kshot.params.schema import Params
from kshot.statistics import mean_interval


class Gathered(NamedTuple):
    """The evidence, and by version the predictions that were made now because no run stores them."""

    evidence: Evidence
    fresh: dict[str, Results]


class Opponent(NamedTuple):
    """A version to compare with, its role, and the protocols to compare on, () for all."""

    version: Registered
    role: str
    protocols: tuple[str, ...] = ()


def gather(root: Path, champion: Registered | None, lineage: Lineage, params: Params) -> Gathered:
    """The evidence for the model that the stages trained: against `champion`, and against gate.reference.

    A version's predictions for the same episodes of the same data are taken from its run; otherwise, and if the run
    lost them, the version predicts today's episodes. Raises RegistryError for a version that is gone or cannot load.
    """
    ours = read_results(root / layout.EVALUATION)
    protocols = ours.episodes.groupby("protocol", sort=False)
    accuracy = {str(name): mean_interval(part["accuracy"]) for name, part in protocols}
    comparisons: list[Comparison] = []
    notes = deleted(root)
    fresh: dict[str, Results] = {}
    for opponent in opponents(root, champion, lineage, params):
        with tempfile.TemporaryDirectory() as scratch:
            theirs, is_fresh, noted = _predictions(root, opponent, lineage, ours, Path(scratch))
        comparisons.append(
            compared(
                opponent.version.version, opponent.role, opponent.protocols, ours, theirs, params.gate.group_protocol
            )
        )
        notes += [*noted, *_not_compared(opponent, ours, theirs)]
        if is_fresh:
            fresh[opponent.version.version] = theirs
    version = champion.version if champion else None
    return Gathered(Evidence(accuracy, version, tuple(comparisons), tuple(notes)), fresh)


def deleted(root: Path) -> list[str]:
    """A note if a former champion was deleted in MLflow, so that nothing is compared with it."""
    known = model_versions.versions(root)
    gone = [name for name in reference.champions(history.history(root)) if name not in known]
    if not gone:
        return []
    some = f"version{'s' if len(gone) > 1 else ''} {', '.join(gone)}"
    return [f"{some}, champion before, {'were' if len(gone) > 1 else 'was'} deleted in MLflow and not compared with"]


def opponents(root: Path, champion: Registered | None, lineage: Lineage, params: Params) -> list[Opponent]:
    """The champion, and the reference if it is another version: per protocol for the best, on all for a fixed one."""
    found = [Opponent(champion, CHAMPION)] if champion else []
    wanted = params.gate.reference
    if isinstance(wanted, int):
        fixed = model_versions.find(root, str(wanted))
        itself = fixed.tags.get("kshot.lineage") == lineage.key
        return found if itself or (champion and fixed.version == champion.version) else [*found, Opponent(fixed, FIXED)]
    versions = model_versions.versions(root)
    names = reference.champions(history.history(root))
    tags = {name: versions[name].tags for name in names if name in versions}
    best = reference.best(tags, list(params.gate.floors), lineage.tags(), champion.version if champion else None)
    for name in dict.fromkeys(best.values()):
        if champion is None or name != champion.version:
            protocols = tuple(protocol for protocol, version in best.items() if version == name)
            found.append(Opponent(versions[name], BEST, protocols))
    return found


def _predictions(
    root: Path, opponent: Opponent, lineage: Lineage, ours: Results, scratch: Path
) -> tuple[Results, bool, tuple[str, ...]]:
    """A version's predictions, whether they were made now, and notes about it for a person."""
    version, who = opponent.version, f"{opponent.role} {opponent.version.version}"
    try:
        model = registered_files.model_files(root, version.version, scratch)
        settings = load_method(model).embedding.settings
    except KshotError as error:
        remedy = (
            "or `kshot rollback` to an intact version"
            if opponent.role == CHAMPION
            else "or name another version in gate.reference"
        )
        raise RegistryError(f"{who} cannot be compared with: {error}; bring its artifacts back, {remedy}") from error
    same = all(
        version.tags.get(f"kshot.{name}") == getattr(lineage, name) for name in ("data_version", "episodes_hash")
    )
    notes = _notes(root, who, set(settings.trained_on))
    results = _stored(root, version, scratch) if same else None
    if results is not None and _episodes_of(results) == _episodes_of(ours):
        return results, False, notes
    recomputed = recomputed_predictions(root, model, scratch)
    return Results(recomputed.episodes, recomputed.cells), True, notes


def _not_compared(opponent: Opponent, ours: Results, theirs: Results) -> list[str]:
    """Notes on protocols that only the champion was evaluated on, and on those that it cannot predict."""
    if opponent.role != CHAMPION:
        return []
    who, protocols = f"{opponent.role} {opponent.version.version}", set(ours.episodes["protocol"])
    measured = json.loads(opponent.version.tags.get(reference.ACCURACY, "{}"))
    gone = [name for name in ordered_protocols(measured) if name not in protocols]
    beyond = ordered_protocols(protocols - set(theirs.episodes["protocol"]))
    notes = [f"not compared with {who} on {', '.join(gone)}: there are no such episodes of today's classes"]
    more = [f"not compared with {who} on {', '.join(beyond)}: it has labels for fewer classes"]
    return [*(notes if gone else []), *(more if beyond else [])]


def _stored(root: Path, version: Registered, scratch: Path) -> Results | None:
    """The predictions stored in a version's run, None if they are no longer complete."""
    import mlflow

    fetch, place = mlflow.artifacts.download_artifacts, scratch / "stored"
    place.mkdir()
    try:
        with store.translated_errors(store.connect(root)):
            found = Path(fetch(run_id=version.run_id, artifact_path="evaluation", dst_path=str(place)))
        return read_results(found)
    except (RegistryError, OSError, ValueError):  # no reason to stop: the model can predict again
        return None


def _episodes_of(results: Results) -> set[tuple[str, int]]:
    return set(zip(results.episodes["protocol"], results.episodes["episode"], strict=True))


def recomputed_predictions(root: Path, model: Path, scratch: Path) -> Predictions:
    """Predictions of the model in the folder `model` for today's episodes, with images prepared as in its training.

    Raises DataError if an image can no longer be read.
    """
    ingest = load_settings(model).ingest
    images = None
    if ingest != load_settings(root / layout.MODEL).ingest:
        paths = [root / layout.RAW / path for path in read_manifest(root)["path"]]
        images = scratch / "images.npy"
        for record in pack(paths, images, ingest):
            if not isinstance(record, Packed):
                raise DataError(
                    f"{record.path}: {record.reason}; champion and challenger need the same images: "
                    f"bring it back with `dvc checkout --force {layout.RAW_DVC}`"
                )
    return predict(root, model, load_inference(model), images)


def _notes(root: Path, who: str, trained_on: set[str]) -> tuple[str, ...]:
    known = trained_on & set(of_splits(read_classes(root), ["test"])["class"])
    if not known:
        return ()
    return (f"{who} was trained on {len(known)} of today's test classes, which flatters it (such as {min(known)!r})",)
