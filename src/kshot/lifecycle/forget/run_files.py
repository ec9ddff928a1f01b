"""The place "MLflow": pages of runs, and input examples of models, that are about a data version with the images."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot import manifest
from kshot.lifecycle.audit.runs import runs_on
from kshot.lifecycle.forget import page_images
from kshot.lifecycle.forget.holding import Forgotten, Holding
from kshot.lifecycle.history import history
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import store

EXAMPLES = ("input_example.json", "serving_input_example.json")
PAGE, EXAMPLE = "page: its images", "input example of a model"
LOGGED = "models:/"


@dataclass(frozen=True)
class TrainedOn:
    """A registered version that was trained on a data version with the images; `aliases`: its current ones."""

    version: str
    data_version: str
    run_id: str
    source: str
    manifest: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class RunFiles:
    """The artifacts of MLflow's runs and models of this project."""

    root: Path
    name: str = "MLflow's artifacts"
    folders: tuple[Path, ...] = ()  # a copy that somebody logged is found among the project's files

    def find(self, wanted: Forgotten) -> list[Holding]:
        """Pages with images, and input examples, of every run and version on these data versions."""
        if not wanted.versions or not has_store(self.root):
            return []
        with store.translated_errors(store.connect(self.root)):
            return [*self._pages(wanted), *self._examples(wanted)]

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Take the images out of the pages, and delete the examples with their lines in the models' manifests."""
        with store.translated_errors(store.connect(self.root)):
            for one in holdings:
                if one.what == PAGE:
                    run_id, _, name = one.at.partition("/")
                    _strip(run_id, name)
                else:
                    model_id, _, name = one.at.partition("/")
                    _delete_example(model_id, name)

    def _pages(self, wanted: Forgotten) -> Iterator[Holding]:
        client = store.client()
        for version in sorted(wanted.versions):
            for run in runs_on(client, self.root, version):
                for artifact in _repository_of(run.run_id).list_artifacts(None):
                    if artifact.path.endswith(".html") and not artifact.is_dir:
                        content = _content(run.run_id, artifact.path)
                        if page_images.IN_PAGE.search(content):
                            at, digest = f"{run.run_id}/{artifact.path}", hashlib.sha256(content).hexdigest()
                            yield Holding(self.name, PAGE, digest, at, len(content))

    def _examples(self, wanted: Forgotten) -> Iterator[Holding]:
        for one in trained_on(self.root, wanted):
            if one.source.startswith(LOGGED):
                model_id = one.source.removeprefix(LOGGED)
                for artifact in _model_files(model_id).list_artifacts(None):
                    if artifact.path in EXAMPLES:
                        at, size = f"{model_id}/{artifact.path}", int(artifact.file_size or 0)
                        yield Holding(self.name, EXAMPLE, at, at, size)


def has_store(root: Path) -> bool:
    """Whether the project has a store of MLflow: a database of its own, or a server."""
    path = store.sqlite_file(root)
    return path is None or path.exists()


def trained_on(root: Path, wanted: Forgotten) -> list[TrainedOn]:
    """The registered versions on these data versions, oldest first."""
    if not wanted.versions or not has_store(root):
        return []
    with store.translated_errors(store.connect(root)):
        client = store.client()
        aliases = history.standing(client, root)
        found = sorted(client.search_model_versions(store.of_project(root)), key=lambda one: int(one.version))
    return [
        TrainedOn(
            version=str(one.version),
            data_version=one.tags["kshot.data_version"],
            run_id=str(one.run_id),
            source=one.source or "",
            manifest=one.tags.get(model_manifest.TAG, ""),
            aliases=tuple(sorted(name for name, version in aliases.items() if version == str(one.version))),
        )
        for one in found
        if one.tags.get("kshot.data_version", "") in wanted.versions
    ]


def new_manifests(root: Path, wanted: Forgotten) -> dict[str, str]:
    """The sha256 of each model's manifest that names an input example, to the sha256 after the example's deletion."""
    found = {}
    for one in trained_on(root, wanted):
        if one.manifest and one.source.startswith(LOGGED):
            with store.translated_errors(store.connect(root)), tempfile.TemporaryDirectory() as scratch:
                text = _manifest(one.source.removeprefix(LOGGED), Path(scratch))
            if text is not None and model_manifest.digest(text.encode()) == one.manifest:
                after = _without_examples(text)
                if after != text:
                    found[one.manifest] = model_manifest.digest(after.encode())
    return found


def _delete_example(model_id: str, name: str) -> None:
    repository = _model_files(model_id)
    with tempfile.TemporaryDirectory() as scratch:
        text = _manifest(model_id, Path(scratch))
        if text is not None and (after := _without_examples(text)) != text:
            for file, content in ((model_manifest.AS_REGISTERED, text), (manifest.FILE, after)):
                fresh = Path(scratch) / "fresh" / file
                fresh.parent.mkdir(exist_ok=True)
                fresh.write_text(content, encoding="utf-8")
                repository.log_artifact(str(fresh))
    if any(artifact.path == name for artifact in repository.list_artifacts(None)):
        repository.delete_artifacts(name)


def _without_examples(text: str) -> str:
    """The manifest as `model_manifest.seal` writes it, without the lines of the examples, with one for itself."""
    value = json.loads(text)
    files = {name: digest for name, digest in value[manifest.MODEL].items() if name not in EXAMPLES}
    if files == value[manifest.MODEL]:
        return text
    files[model_manifest.AS_REGISTERED] = model_manifest.digest(text.encode())
    return json.dumps({**value, manifest.MODEL: files}, indent=1, sort_keys=True)


def _manifest(model_id: str, scratch: Path) -> str | None:
    repository = _model_files(model_id)
    if all(artifact.path != manifest.FILE for artifact in repository.list_artifacts(None)):
        return None
    return Path(repository.download_artifacts(manifest.FILE, str(scratch))).read_text(encoding="utf-8")


def _strip(run_id: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / name
        fresh.write_bytes(page_images.without_images(_content(run_id, name)))
        _repository_of(run_id).log_artifact(str(fresh))


def _content(run_id: str, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        return Path(_repository_of(run_id).download_artifacts(name, scratch)).read_bytes()


def _repository_of(run_id: str) -> Any:
    return _repository(store.client().get_run(run_id).info.artifact_uri)


def _model_files(model_id: str) -> Any:
    return _repository(store.client().get_logged_model(model_id).artifact_location)


def _repository(location: Any) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(str(location))
