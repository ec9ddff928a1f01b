"""The audited version and its stored record: tags, run, files, dvc.lock, the history of its decisions."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import RegistryError
from kshot.lifecycle.audit import reading
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.history import history
from kshot.lifecycle.history.erasure_event import manifest_now
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project.broken import Broken, NotRecorded
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.registry.recorded_manifest import recorded_manifest
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import store
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DELETED = "deleted"


@dataclass(frozen=True)
class Subject:
    """One registered version.

    run      its MLflow run, even if deleted; None if MLflow has none
    record   the history with the current aliases; None if it cannot be read, and `trouble` then says why
    scratch  a folder for downloaded files
    """

    root: Path
    version: str
    tags: dict[str, str]
    run_id: str
    registered_at: datetime
    run: Any
    aliases: dict[str, str]
    record: history.Record | None
    trouble: str
    scratch: Path

    @property
    def is_ours(self) -> bool:
        """Whether kshot registered it."""
        return "kshot.lineage" in self.tags

    def tag(self, name: str) -> str:
        """A tag of the version, without its `kshot.`. Raises NotRecorded."""
        found = self.tags.get(f"kshot.{name}", "")
        if not found:
            raise NotRecorded(f"version {self.version} has no tag kshot.{name}: it was registered by another tool")
        return found

    def has(self, name: str) -> bool:
        """Whether the run contains the file or folder `name`."""
        try:
            return self.file(name).exists()
        except Broken:
            return False

    def file(self, name: str) -> Path:
        """A file or folder of the run. Raises Broken if it is gone, NotRecorded if there never was a run."""
        if not self.run_id:
            raise NotRecorded(f"version {self.version} names no run")
        if self.run is None:
            raise Broken(f"run {self.run_id}, which stored {name}, is gone from MLflow's store")
        import mlflow
        from mlflow.exceptions import MlflowException

        place = self.scratch / name
        if place.exists():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{self.run.info.artifact_uri}/{name}", dst_path=str(place.parent)
            )
        except (OSError, MlflowException) as error:
            raise Broken(f"{name} is gone from run {self.run_id}; bring it back from a copy") from error
        return Path(found)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events about this version; empty if the history cannot be read."""
        return tuple(one for one in (self.record.events if self.record else ()) if one.version == self.version)

    @cached_property
    def model(self) -> Path:
        """The model's folder as stored in MLflow, unchecked. Raises Broken if it is gone."""
        try:
            return registered_files.fetched(self.root, self.version, self.scratch / "registered")
        except store.Unreachable:
            raise
        except RegistryError as error:
            raise Broken(str(error)) from error

    @cached_property
    def pruned(self) -> str:
        """When `kshot prune` deleted the model's files, '' if they are there: the tag alone could hide an edit."""
        tag = self.tags.get(model_versions.PRUNED, "")
        try:
            return tag if tag and not any(path.is_file() for path in self.model.rglob("*")) else ""
        except Broken:
            return tag

    @cached_property
    def sealed(self) -> model_manifest.Sealed:
        """The manifest that the version's tag and events name. Raises Broken; NotRecorded if none is named."""
        if self.pruned:
            raise NotRecorded(f"the manifest was pruned with the model's files, {self.pruned[:10]}")
        try:
            expected = recorded_manifest(self.version, self.tags, self.events)
            if not expected and not self.is_ours:
                raise NotRecorded("it was registered by another tool, which wrote no manifest")
            if not expected:
                model_manifest.require(self.model, self.version, expected)
                raise NotRecorded(
                    "it was registered before manifests were written; the content of the files is unknown"
                )
            expected, _ = manifest_now(self.root, expected, self.record.events if self.record else ())
            return model_manifest.read(self.model, self.version, expected)
        except model_manifest.Altered as error:
            raise Broken(str(error)) from error

    @property
    def erased_example(self) -> Erasure | None:
        """The erasure that deleted the model's input example; the manifest is then the one that it names."""
        events = self.record.events if self.record else ()
        return manifest_now(self.root, self.tags.get(model_manifest.TAG, ""), events)[1]

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of the run's dvc.lock, checked to be the one that was registered. Raises Broken."""
        text = self.file(LOCK_FILE).read_bytes()
        recorded, found = self.tag("dvc_lock_hash"), hashlib.sha256(text).hexdigest()[:16]
        if recorded != found:
            raise Broken(f"{LOCK_FILE} of run {self.run_id} is not the one that was registered", recorded, found)
        what = f"{LOCK_FILE} of run {self.run_id}"
        return reading.mapping(what, reading.at(what, reading.yaml_of(what, self.file(LOCK_FILE)), "stages"))

    def input(self, path: str) -> dict[str, Any]:
        """The entry in dvc.lock for a path that a stage read: md5, size, nfiles. Raises NotRecorded."""
        return self._locked("deps", path)

    def output(self, path: str) -> dict[str, Any]:
        """The entry in dvc.lock for a path that a stage wrote: md5, size, nfiles. Raises NotRecorded."""
        return self._locked("outs", path)

    def _locked(self, kind: str, path: str) -> dict[str, Any]:
        for stage in self.lock.values():
            for entry in stage.get(kind, []):
                if entry["path"] == path:
                    return dict(entry)
        raise NotRecorded(f"{LOCK_FILE} of run {self.run_id} names no {path}")


def opened(root: Path, name: str, scratch: Path) -> Subject:
    """The version with that number or alias. Raises RegistryError, with the closest names, for an unknown one."""
    found = model_versions.find(root, name)
    with store.translated_errors(store.connect(root)):
        client = store.client()
        model_version = client.get_model_version(project_name.of(root), found.version)
        aliases = history.standing(client, root)
        record, trouble = read_history(root)
        return of(root, client, model_version, aliases, record, scratch, trouble)


def of(
    root: Path,
    client: "MlflowClient",
    model_version: "ModelVersion",
    aliases: dict[str, str],
    record: history.Record | None,
    scratch: Path,
    trouble: str = "",
) -> Subject:
    """A subject from a version, aliases and history that have already been read."""
    return Subject(
        root=root,
        version=str(model_version.version),
        tags=dict(model_version.tags),
        run_id=model_version.run_id or "",
        registered_at=datetime.fromtimestamp(model_version.creation_timestamp / 1000, UTC),
        run=_run(client, model_version.run_id) if model_version.run_id else None,
        aliases=aliases,
        record=record,
        trouble=trouble,
        scratch=scratch,
    )


def read_history(root: Path) -> tuple[history.Record | None, str]:
    """The history, or why it cannot be read."""
    with store.translated_errors(store.connect(root)):
        try:
            return history.read(store.client(), root), ""
        except store.Unreachable:
            raise
        except RegistryError as error:
            return None, str(error)


def _run(client: "MlflowClient", run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
