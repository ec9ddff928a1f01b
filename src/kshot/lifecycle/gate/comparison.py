"""Compares two registered versions on the same test episodes, pair by pair: by protocol, by group, by class."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.errors import DataError, RegistryError
from kshot.lifecycle.gate import paired
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.tracking import store


@dataclass(frozen=True)
class Comparison:
    """The changes from version `old` to `new`; `on` says on which episodes. Changes of protocols have name ''."""

    old: str
    new: str
    on: str
    episodes: int
    protocols: tuple[Change, ...]
    groups: tuple[Change, ...]
    classes: tuple[Change, ...]


def compare(root: Path, old: str, new: str) -> Comparison:
    """Compare two versions, by number or alias.

    Predictions of both for the same episodes of the same data are taken from their runs; otherwise both models predict
    today's episodes. Raises RegistryError for a version that is unknown or whose model is gone, and DataError if
    there are no episodes to predict.
    """
    first, second = model_versions.find(root, old), model_versions.find(root, new)
    with tempfile.TemporaryDirectory() as scratch:
        stored = _stored(root, [first, second], Path(scratch))
        tables = stored or [_predicted_again(root, one, Path(scratch) / one.version) for one in (first, second)]
    data = first.tags.get("kshot.data_version", "")[:8]
    return Comparison(
        first.version,
        second.version,
        f"data version {data}, predictions stored by both runs" if stored else "today's data, predicted now by both",
        *changes(*tables),
    )


def changes(
    old: pd.DataFrame, new: pd.DataFrame
) -> tuple[int, tuple[Change, ...], tuple[Change, ...], tuple[Change, ...]]:
    """How many episodes both predicted, and the changes of two tables of cells by protocol, group and class."""
    both = paired.paired_cells(old, new)
    count = int(both.groupby("protocol")["episode"].nunique().max()) if len(both) else 0
    return (
        count,
        paired.changes(both.assign(all=""), "all"),
        paired.changes(both, "group") if both["group"].astype(bool).any() else (),
        paired.changes(both, "label"),
    )


def _stored(root: Path, versions: list[Registered], scratch: Path) -> list[pd.DataFrame] | None:
    """Both versions' predictions from their runs; None if they are of different episodes or no longer there."""
    first, second = versions
    if any(first.tags.get(name) != second.tags.get(name) for name in ("kshot.data_version", "kshot.episodes_hash")):
        return None
    import mlflow

    tables = []
    for number, version in enumerate(versions):
        place = scratch / f"stored{number}"
        place.mkdir()
        try:
            with store.translated_errors(store.connect(root)):
                found = mlflow.artifacts.download_artifacts(
                    run_id=version.run_id, artifact_path="evaluation/cells.parquet", dst_path=str(place)
                )
            tables.append(pd.read_parquet(found))
        except (RegistryError, OSError, ValueError):  # no reason to stop: the models can predict again
            return None
    return tables


def _predicted_again(root: Path, version: Registered, scratch: Path) -> pd.DataFrame:
    if not any((root / layout.EPISODES).glob("test-*.npz")):
        raise DataError(
            f"the runs lack version {version.version}'s predictions of the same episodes, and {layout.EPISODES} has "
            "none to predict now; `kshot retrain` makes them"
        )
    from kshot.lifecycle.gate import evidence  # here, because importing torch takes seconds and is often not needed

    scratch.mkdir(exist_ok=True)
    cells: Any = evidence.recomputed_predictions(
        root, registered_files.model_files(root, version.version, scratch), scratch
    ).cells
    return pd.DataFrame(cells)
