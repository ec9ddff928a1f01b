"""Checks that the served model and its run's files are as they were registered, without running any of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kshot import manifest
from kshot.first_few import first_few
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.project.broken import Broken, NotRecorded
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from kshot.redaction import redacted


def served(subject: Subject) -> str:
    """Check that every model file matches the manifest named by the events and is in its run's place. Raises Broken."""
    if subject.pruned:
        raise NotRecorded(
            f"the model's files were pruned, {subject.pruned[:10]}; `kshot reproduce` may still build it again"
        )
    if model_versions.PRUNED in subject.tags:
        raise Broken(
            f"the version has the tag {model_versions.PRUNED}, and files of its model are there: `kshot prune` was "
            "ended before it had deleted them, which it does when it is run again, or somebody set the tag by hand"
        )
    sealed = subject.sealed
    _as_sealed("the model", sealed.model, manifest.hashes(subject.model))
    _in_its_place(subject)
    named = [event.number for event in subject.events if event.manifest]
    by = f"event {named[-1]}" if named else "the tag of the version: no event about it yet"
    erased = f"; its input example was {subject.erased_example}" if subject.erased_example else ""
    return (
        f"{counted(len(sealed.model), 'file')} that are loaded are as registered; the manifest is named by {by}{erased}"
    )


def record(subject: Subject) -> str:
    """Check that every file the run had at registration is unchanged. Raises Broken, naming the file."""
    run_files = subject.sealed.run
    found = {name: _sha256(subject, name) for name in run_files}
    _as_sealed(f"run {subject.run_id}", run_files, {name: sha256 for name, sha256 in found.items() if sha256})
    return f"{counted(len(run_files), 'file')} of the run are as they were when the model was registered"


def as_registered(subject: Subject, name: str) -> Path:
    """A file of the run, checked against the manifest if there is one. Raises Broken."""
    path = subject.file(name)
    try:
        recorded = subject.sealed.run.get(name)
    except (Broken, NotRecorded):
        return path  # the link `served` reports the reason
    if recorded is not None and (found := manifest.file_sha256(path)) != recorded:
        raise Broken(f"{name} of run {subject.run_id} is not as it was registered", recorded, found)
    return path


def _as_sealed(what: str, recorded: Mapping[str, str], found: Mapping[str, str]) -> None:
    other = manifest.difference(recorded, found)
    if other:
        raise Broken(
            f"{what} is not as it was registered: {first_few(list(other))}; do not serve it: `kshot rollback` to a "
            "version that is whole, or bring the files back from a copy"
        )


def _sha256(subject: Subject, name: str) -> str:
    try:
        return manifest.file_sha256(subject.file(name))
    except (Broken, OSError):
        return ""


def _in_its_place(subject: Subject) -> None:
    """Check that the version is loaded from where MLflow put its run's model. Raises Broken."""
    from mlflow.exceptions import MlflowException

    with store.translated_errors(store.connect(subject.root)):
        client, name = store.client(), project_name.of(subject.root)
        model_version = client.get_model_version(name, subject.version)
        loaded_from = str(client.get_model_version_download_uri(name, subject.version))
        model_id = str(model_version.source).removeprefix("models:/")
        try:
            model: Any = client.get_logged_model(model_id)
        except MlflowException as error:
            raise Broken(f"the version names model {model_version.source}, which MLflow does not have") from error
        experiment = client.get_experiment(model.experiment_id)
    moved = subject.run is not None and subject.run.info.experiment_id != model.experiment_id
    if moved:
        raise Broken(
            "the run is in another experiment than its model, where nothing finds it by its data version",
            model.experiment_id,
            subject.run.info.experiment_id,
        )
    if model.source_run_id != subject.run_id:
        raise Broken("the version's model was logged by another run", subject.run_id, model.source_run_id)
    recorded = f"{str(experiment.artifact_location).rstrip('/')}/models/{model_id}/artifacts"
    for what, found in (("the version is loaded from", loaded_from), ("its model lies at", model.artifact_location)):
        if str(found).rstrip("/") != recorded:
            raise Broken(f"{what} another place than MLflow put it", redacted(recorded), redacted(str(found)))
    if "MLFLOW_TRACKING_URI" not in os.environ:
        ours = (subject.root / store.ARTIFACTS).resolve().as_uri()
        if str(experiment.artifact_location).rstrip("/") != ours:
            raise Broken("the experiment keeps its files outside the project", ours, experiment.artifact_location)
