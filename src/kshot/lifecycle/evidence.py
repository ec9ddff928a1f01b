"""Champion and challenger on the same test episodes, paired."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from kshot.answering import load_answering
from kshot.embedding import load_settings
from kshot.errors import DataError, KshotError, RegistryError
from kshot.images import Packed, pack
from kshot.lifecycle import layout, registry, store
from kshot.lifecycle.answers import Answers, answer
from kshot.lifecycle.gate import Evidence
from kshot.lifecycle.lineage import Lineage
from kshot.lifecycle.packed import of_splits, read_classes, read_manifest
from kshot.lifecycle.paired import Results, differences, group_changes, read_results
from kshot.lifecycle.registry import Registered
from kshot.methods.saving import load_method
from kshot.params import Params, recorded_ingest
from kshot.statistics import mean_interval


class Gathered(NamedTuple):
    """The evidence, and where the champion answered anew what it answered: no run holds that."""

    evidence: Evidence
    anew: Results | None = None


def gather(root: Path, champion: Registered | None, lineage: Lineage, params: Params) -> Gathered:
    """The evidence for the model that the stages made, against `champion` where there is one.

    What the champion answered to the same episodes of the same data is taken from its run; otherwise, and where the
    run lost it, the champion answers today's. Raises RegistryError for one that can no longer be had or loaded.
    """
    ours = read_results(root / layout.EVALUATION)
    protocols = ours.episodes.groupby("protocol", sort=False)
    accuracy = {str(name): mean_interval(part["accuracy"]) for name, part in protocols}
    if champion is None:
        return Gathered(Evidence(accuracy))
    with tempfile.TemporaryDirectory() as scratch:
        theirs, anew, notes = _champions(root, champion, lineage, ours, Path(scratch))
    found = Evidence(
        accuracy=accuracy,
        champion=champion.version,
        difference=differences(ours.episodes, theirs.episodes),
        groups=group_changes(ours.groups, theirs.groups, params.gate.group_protocol),
        notes=notes,
    )
    return Gathered(found, theirs if anew else None)


def _champions(
    root: Path, champion: Registered, lineage: Lineage, ours: Results, scratch: Path
) -> tuple[Results, bool, tuple[str, ...]]:
    """What the champion answered, whether it did so anew, and what a person should know of it."""
    try:
        model = registry.model_files(root, champion.version, scratch)
        settings = load_method(model).embedding.settings
    except KshotError as error:
        raise RegistryError(
            f"champion {champion.version} cannot be compared with: {error}; "
            "bring its artifacts back, or `kshot rollback` to a version that is whole"
        ) from error
    same = all(
        champion.tags.get(f"kshot.{name}") == getattr(lineage, name) for name in ("data_version", "episodes_hash")
    )
    notes = _notes(root, champion, set(settings.get("trained_on", [])))
    results = _stored(root, champion, scratch) if same else None
    if results is not None and _asked(results) == _asked(ours):
        return results, False, notes
    answers = answered_again(root, model, scratch)
    return Results(answers.episodes, answers.groups.fillna({"group": ""})), True, notes


def _stored(root: Path, champion: Registered, scratch: Path) -> Results | None:
    """What the champion's run holds of its answers, None where that is no longer whole."""
    import mlflow

    fetch, place = mlflow.artifacts.download_artifacts, scratch / "stored"
    place.mkdir()
    try:
        with store.told(store.connect(root)):
            found = Path(fetch(run_id=champion.run_id, artifact_path="evaluation", dst_path=str(place)))
        return read_results(found)
    except (RegistryError, OSError, ValueError):  # what the model can answer again is no reason to stop
        return None


def _asked(results: Results) -> set[tuple[str, int]]:
    return set(zip(results.episodes["protocol"], results.episodes["episode"], strict=True))


def answered_again(root: Path, model: Path, scratch: Path) -> Answers:
    """The answers of the model in the folder `model` to today's episodes, its pictures prepared as it was trained.

    Raises DataError where a picture cannot be read any more.
    """
    ingest = recorded_ingest(load_settings(model))
    images = None
    if ingest != recorded_ingest(load_settings(root / layout.MODEL)):
        paths = [root / layout.RAW / path for path in read_manifest(root)["path"]]
        images = scratch / "images.npy"
        for record in pack(paths, images, ingest):
            if not isinstance(record, Packed):
                raise DataError(
                    f"{record.path}: {record.reason}; champion and challenger need the same pictures: "
                    f"bring it back with `dvc checkout --force {layout.RAW_DVC}`"
                )
    return answer(root, model, load_answering(model), images)


def _notes(root: Path, champion: Registered, trained_on: set[str]) -> tuple[str, ...]:
    known = trained_on & set(of_splits(read_classes(root), ["test"])["class"])
    if not known:
        return ()
    return (
        f"champion {champion.version} was trained on {len(known)} of today's test classes, which flatters it "
        f"(such as {min(known)!r})",
    )
