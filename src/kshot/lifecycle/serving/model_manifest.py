"""Seals a registered version with a manifest of its model's files, its run's files and its tags.

The manifest is written once, when the version is registered, among the model's files. Its sha256 is a tag of the
version and part of every event about it, and each event's hash is part of the next event. So no file of a served model
can be changed unnoticed.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot import manifest
from kshot.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "kshot.manifest"  # on a version: the sha256 of its manifest
AS_REGISTERED = "manifest-as-registered.json"  # of a model whose input example was erased: the manifest until then
RUN, TAGS = "run", "tags"  # sections of the manifest besides manifest.MODEL


class Altered(RegistryError):
    """A registered model is not as it was registered; no part of it may be run."""


@dataclass(frozen=True)
class Sealed:
    """The content of a manifest. `model`, `run`: file to sha256; `tags`: the tags at registration."""

    model: dict[str, str]
    run: dict[str, str]
    tags: dict[str, str]


def seal(client: "MlflowClient", model_id: str, run_id: str, tags: Mapping[str, str], scratch: Path) -> str:
    """Write the manifest of a logged model and its run among the model's files; returns its sha256.

    `scratch`: a folder for downloads, because the hashes are of the files MLflow stored, not those it was given.
    """
    import mlflow

    logged, added = scratch / "logged", scratch / "added"
    logged.mkdir()
    fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=str(logged)))
    for folder in sorted({path.parent for path in fetched.rglob("*.py")}):
        place = added / folder.relative_to(fetched) / manifest.NO_BYTECODE
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(manifest.INSTEAD_OF_BYTECODE, encoding="utf-8")
    added.mkdir(exist_ok=True)
    text = json.dumps(
        {
            manifest.MODEL: {**manifest.hashes(fetched), **manifest.hashes(added)},
            RUN: _of_run(client, run_id, scratch / "run"),
            TAGS: dict(tags),
        },
        indent=1,
        sort_keys=True,
    )
    (added / manifest.FILE).write_text(text, encoding="utf-8")
    client.log_model_artifacts(model_id, str(added))
    return digest(text.encode())


def digest(content: bytes) -> str:
    """The sha256 by which tag and events name a manifest."""
    return hashlib.sha256(content).hexdigest()


def read(folder: Path, version: str, expected: str) -> Sealed:
    """The manifest of the model in `folder`. Raises Altered if its sha256 is not `expected`."""
    path = folder / manifest.FILE
    if not path.is_file():
        raise Altered(f"{manifest.FILE} is missing from the model of version {version}")
    content = path.read_bytes()
    if digest(content) != expected:
        raise Altered(f"{manifest.FILE} of version {version} was changed: its sha256 is not the one of the tag {TAG}")
    value: dict[str, Any] = json.loads(content)
    return Sealed(dict(value[manifest.MODEL]), dict(value[RUN]), dict(value[TAGS]))


def require(folder: Path, version: str, expected: str) -> None:
    """Raise Altered, naming the first file, unless the model in `folder` matches the manifest `expected`.

    A version from before manifests (`expected` is '') has none, and nothing is checked.
    """
    if not expected:
        if (folder / manifest.FILE).exists():
            raise Altered(f"version {version} has a {manifest.FILE} but no tag {TAG}: it was deleted")
        return
    other = manifest.difference(read(folder, version, expected).model, manifest.hashes(folder))
    if other:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        raise Altered(
            f"the model of version {version} is not as it was registered: {other[0]}{more}; nothing of it was run: "
            "`kshot rollback` to an intact version, or bring the file back from a copy"
        )


def _of_run(client: "MlflowClient", run_id: str, scratch: Path) -> dict[str, str]:
    """Hashes of the files in the run when its model is registered; reports and decisions are added later."""
    import mlflow
    from mlflow.exceptions import MlflowException

    scratch.mkdir()
    place = client.get_run(run_id).info.artifact_uri
    try:
        fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=place, dst_path=str(scratch)))
    except (OSError, MlflowException):
        return {}  # a run without files has no folder
    found = manifest.hashes(fetched)
    shutil.rmtree(scratch)
    return found
