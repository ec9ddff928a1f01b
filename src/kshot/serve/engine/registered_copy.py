"""Local copies of registered versions, so that the service can start and roll back without the registry."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kshot.errors import RegistryError
from kshot.estimator.few_shot_classifier import FewShotModel
from kshot.estimator.stored_model import stored_in
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.serving import model_manifest
from kshot.manifest import hashes
from kshot.params import project_name
from kshot.serve.engine.quick import is_quick
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.store.gallery_store import GalleryStore, scratch

MODELS, COPY, EMBEDDING = "models", "copy.json", "embedding"


@dataclass(frozen=True)
class Standing:
    """The version that an alias names. `seal`: the sha256 of its manifest, or its run for a version from before."""

    name: str
    version: str
    alias: str
    seal: str

    @property
    def folder(self) -> str:
        return f"{self.version}-{self.seal[:16]}"


def standing(root: Path, alias: str) -> Standing | None:
    """The version that the alias names now; None if it names none. Raises RegistryError if nobody answers."""
    found = model_versions.with_alias(root, alias)
    if found is None:
        return None
    seal = found.tags.get(model_manifest.TAG, "") or found.run_id
    return Standing(project_name.of(root), found.version, alias, seal)


def load(root: Path, store: GalleryStore, wanted: Standing, device: str) -> ServedVersion:
    """Load a version from its copy in the service's folder, which is made if missing.

    Raises RegistryError if it has to be fetched and cannot be, or is not as it was registered.
    """
    folder = store.folder
    place = folder / MODELS / wanted.folder
    if not _is_whole(place):
        shutil.rmtree(place, ignore_errors=True)
        _copy(root, store, wanted, place)
    key = json.loads((place / COPY).read_text(encoding="utf-8"))["key"]
    model = FewShotModel(*stored_in(place / EMBEDDING, device))
    write_text(_last_file(folder, wanted.alias), json.dumps([wanted.name, wanted.version, wanted.seal]))
    return ServedVersion(wanted.name, wanted.version, wanted.alias, key, model, is_quick(model))


def last(folder: Path, alias: str) -> Standing | None:
    """The version that was served last, if its copy is whole: for a start without the registry."""
    try:
        name, version, seal = json.loads(_last_file(folder, alias).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None
    found = Standing(str(name), str(version), alias, str(seal))
    return found if _is_whole(folder / MODELS / found.folder) else None


def delete_others(folder: Path, keep: set[str]) -> None:
    """Delete the copies whose key is not in `keep`."""
    for copy in sorted((folder / MODELS).glob(f"*/{COPY}")):
        if json.loads(copy.read_text(encoding="utf-8"))["key"] not in keep:
            shutil.rmtree(copy.parent, ignore_errors=True)


def _copy(root: Path, store: GalleryStore, wanted: Standing, place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = scratch(store)
    try:
        found = registered_files.model_files(root, wanted.version, folder / "model")
        whole = folder / "copy"
        shutil.copytree(found, whole / EMBEDDING)
        (whole / COPY).write_text(json.dumps({"key": _key(whole / EMBEDDING)}), encoding="utf-8")
        try:
            whole.rename(place)
        except OSError as error:
            if not _is_whole(place):  # another process of the service made it
                raise RegistryError(f"the copy of version {wanted.version} cannot be written: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _last_file(folder: Path, alias: str) -> Path:
    """Names the last version of an alias; a file each, because champion and shadow are loaded by two threads."""
    return folder / MODELS / f"last-{quote(alias, safe='')}.json"


def _is_whole(place: Path) -> bool:
    """Whether the copy in `place` has the files that it was made with."""
    try:
        return bool(json.loads((place / COPY).read_text(encoding="utf-8"))["key"] == _key(place / EMBEDDING))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _key(folder: Path) -> str:
    return hashlib.sha256(json.dumps(hashes(folder), sort_keys=True).encode()).hexdigest()
