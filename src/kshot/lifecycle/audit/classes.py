"""`kshot audit --class`: data versions that contain a class and models that saw it, for a class to be forgotten."""

import csv
import difflib
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.errors import DataError, RegistryError
from kshot.first_few import first_few
from kshot.lifecycle.data import data_versions, dvc_cache
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.tracking import store
from kshot.params import project_name

TRAINED, IN_DATA, UNKNOWN = "trained on it", "not trained on it; it is in its data", "cannot be said"
SHOWN = 3  # class names in a refusal


@dataclass(frozen=True)
class InData:
    """A data version that contains the class, in `images` images; None if its listing is gone."""

    md5: str
    images: int | None


@dataclass(frozen=True)
class InModel:
    """How a version used the class.

    how      one of the constants above
    aliases  its current ones
    split    of the class for this version: train, val or test; '' if its run does not say
    """

    version: str
    data_version: str
    how: str
    aliases: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class ClassAudit:
    """Where a class was used. Data and models that are gone count as unknown: they may have contained the class."""

    name: str
    data: tuple[InData, ...]
    models: tuple[InModel, ...]


def audit_class(root: Path, name: str) -> ClassAudit:
    """The data versions that contain class `name` and the models that saw it.

    Raises DataError, with the closest names, for a class that nothing here ever contained, and RegistryError.
    """
    counts = {version.md5: _counts(root, version.md5) for version in data_versions.versions(root)}
    models = _models(root, name, counts)
    data = tuple(
        InData(md5, None if counts_here is None else counts_here[name])
        for md5, counts_here in counts.items()
        if counts_here is None or name in counts_here
    )
    if all(one.images is None for one in data) and all(one.how == UNKNOWN for one in models):
        known = sorted({label for counts_here in counts.values() for label in counts_here or ()})
        raise DataError(f"no class {name!r}; {_likely(name, known)}")
    return ClassAudit(name, data, models)


def _likely(name: str, known: Sequence[str]) -> str:
    """The known class names closest to `name`, else the first few.

    A name matches its class in whatever group; among `difflib`'s, 0.6 keeps a name from being taken for any short one.
    """
    if not known:
        return "no data version's list of classes is left to look in"
    last = [label for label in known if label.rpartition("/")[2].casefold() == name.casefold()]
    if near := last[:SHOWN] or difflib.get_close_matches(name, known, n=SHOWN, cutoff=0.6):
        return f"did you mean {' or '.join(near)}?"
    return f"there are {first_few(known, SHOWN)}"


def _counts(root: Path, md5: str) -> dict[str, int] | None:
    """Class to number of images of a data version, from the manifest in DVC's cache; None if that is gone."""
    try:
        entries = dvc_cache.listing(root, f"{md5}.dir")
        cache = dvc_cache.cache_of(root)
        oid = next(entry["md5"] for entry in entries if entry["relpath"] == "manifest.csv")
        text = dvc_cache.place(cache, oid).read_text(encoding="utf-8")
    except (Broken, OSError, StopIteration):
        return None
    counts: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO(text)):
        counts[row["class"]] = counts.get(row["class"], 0) + 1
    return counts


def _models(root: Path, name: str, counts: dict[str, dict[str, int] | None]) -> tuple[InModel, ...]:
    from kshot.lifecycle.history import history

    with store.translated_errors(store.connect(root)):
        client = store.client()
        aliases = history.standing(client, root)
        versions = sorted(client.search_model_versions(store.of_project(root)), key=lambda one: int(one.version))
    found = []
    for one in versions:
        data = one.tags.get("kshot.data_version", "")
        how = _how(root, one, name, counts.get(data))
        if how:
            names = tuple(sorted(alias for alias, version in aliases.items() if version == str(one.version)))
            found.append(InModel(str(one.version), data, how, names, _split(client, one, name)))
    return tuple(found)


def _how(root: Path, version: Any, name: str, counts_here: dict[str, int] | None) -> str:
    """How a version used the class, '' if it did not."""
    trained_on = _trained_on(root, version)
    if trained_on is not None and name in trained_on:
        return TRAINED
    if counts_here is not None and name in counts_here:
        return IN_DATA if trained_on is not None else UNKNOWN
    return UNKNOWN if trained_on is None or counts_here is None else ""


def _split(client: Any, version: Any, name: str) -> str:
    """The split of the class in the table that the version's run stored; '' if that is gone or lacks the class."""
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory() as scratch:
            table = client.download_artifacts(version.run_id, f"{layout.SPLIT.name}/classes.parquet", scratch)
            classes = pd.read_parquet(table, columns=["class", "split"])
    except (OSError, MlflowException, ValueError):
        return ""
    return next(iter(classes["split"][classes["class"] == name]), "")


def _trained_on(root: Path, version: Any) -> list[str] | None:
    """The classes that the model's settings say it was trained on, None if its settings are gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    address = f"models:/{project_name.of(root)}/{version.version}/artifacts/{layout.EMBEDDING}/embedding.json"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=scratch)
            found = json.loads(Path(path).read_text(encoding="utf-8")).get("trained_on")
    except (OSError, MlflowException, ValueError, RegistryError):
        return None
    return None if found is None else list(found)
