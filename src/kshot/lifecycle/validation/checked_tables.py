"""The tables that the checks of a data version read: files, images, classes and splits."""

import json
import unicodedata
from typing import Any

import numpy as np
import pandas as pd

from kshot.data.drawers import NOBODY, pairs_of_drawers
from kshot.data.splits import SPLITS
from kshot.first_few import first_few
from kshot.lifecycle.data.packed import drawer_numbers, image_ids
from kshot.lifecycle.validation.class_demands import (
    EVALUATED,
    FEWEST_TRAINED,
    TRAINED,
    different_images,
    evaluation_demands,
    unfilled_demands,
)
from kshot.params.schema import Params
from kshot.params.sections.episodes import Protocol


def tables(
    manifest: pd.DataFrame, unreadable: pd.DataFrame, classes: pd.DataFrame, params: Params
) -> dict[str, pd.DataFrame]:
    """The tables that the checks read; the column `name` of each identifies the row for a person.

    files     one row: number of files, unreadable share and their names; number of images without a drawer
    images    one row per image: sides, and in how many classes and splits its content occurs
    classes   one row per class: images (copies counted once), images needed, splits, whether the name survives
    splits    one row per split and demand: classes available, classes needed
    """
    base = classes[classes["rotation"] == 0]
    return {
        "files": _files(manifest, unreadable),
        "images": _images(manifest, base),
        "classes": _classes(manifest, base, params),
        "splits": _splits(manifest, classes, params),
    }


def _files(manifest: pd.DataFrame, unreadable: pd.DataFrame) -> pd.DataFrame:
    count = len(manifest) + len(unreadable)
    pairs = zip(unreadable["path"], unreadable["reason"], strict=True)
    examples = first_few([f"{path} ({reason})" for path, reason in pairs], between="; ")
    row = {"name": "all files", "files": count, "unreadable": len(unreadable), "examples": examples}
    without_drawer = int((drawer_numbers(manifest) == NOBODY).sum())
    return pd.DataFrame(
        [{**row, "unreadable_share": len(unreadable) / max(1, count), "without_drawer": without_drawer}]
    )


def _images(manifest: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    place = dict(zip(base["class"], base["split"], strict=True))
    sides = manifest[["width", "height"]]
    short = sides.min(axis=1)
    table = manifest[["class", "content", "width", "height"]].assign(
        name=manifest["path"],
        short_side=short,
        aspect_ratio=sides.max(axis=1) / short.clip(lower=1),
        split=manifest["class"].map(place),
    )
    same = table.groupby("content")
    table["content_classes"] = same["class"].transform("nunique")
    table["content_splits"] = same["split"].transform("nunique")
    first = same["name"].transform("first")
    table["twin"] = first.where(first != table["name"], same["name"].transform("last"))
    return table


def _classes(manifest: pd.DataFrame, base: pd.DataFrame, params: Params) -> pd.DataFrame:
    """A class lacks images only if its split has too few classes without it: otherwise it is left out and listed."""
    unfilled = unfilled_demands(manifest, base, params)
    images = different_images(manifest)
    evaluated = max(needed for _, needed in evaluation_demands(params))
    rows = []
    for name, part in base.groupby("class"):
        splits = sorted(set(part["split"]))
        found = int(images.get(str(name), 0))
        demands = [(EVALUATED, evaluated)] if {"val", "test"} & set(splits) else []
        demands += [(TRAINED, FEWEST_TRAINED)] if set(params.train.splits) & set(splits) else []
        lacking = [demand for split in splits for demand in unfilled[split] if found < demand[1]]
        demand, needed = max(lacking or demands, key=lambda pair: pair[1])
        rows.append(
            {
                "name": name,
                "images": found,
                "needed": needed,
                "demand": demand,
                "missing_images": needed - found if lacking else 0,
                "n_splits": len(splits),
                "splits": " and ".join(splits),
                "survives": survives(str(name)),
            }
        )
    return pd.DataFrame(rows)


def _splits(manifest: pd.DataFrame, classes: pd.DataFrame, params: Params) -> pd.DataFrame:
    """The demands of a batch and of each protocol on the splits they draw from; a rotation counts as a class."""
    rows: list[dict[str, Any]] = []

    def demand(name: str, what: str, found: int, needed: int) -> None:
        row = {"name": name, "demand": what, "classes": found, "needed": needed}
        rows.append({**row, "missing_classes": max(0, needed - found)})

    trained = params.train.splits
    name = " and ".join(f"split {split!r}" for split in trained)
    demand(name, "train.batch.classes", int(classes["split"].isin(trained).sum()), params.train.batch.class_count)
    for split in SPLITS[1:]:
        part = classes[classes["split"] == split]
        groups = part.loc[part["group"] != "", "group"].value_counts()
        largest = int(groups.iloc[0]) if len(groups) else 0
        for name, protocol in params.episodes.by_name.items():
            if protocol.by_drawer:
                shared = _shared_by_drawers(manifest, part, protocol, params.episodes.queries(protocol))
                demand(
                    f"the best pair of drawers of split {split!r}",
                    f"episodes.protocols.{name}.n_way",
                    shared,
                    protocol.n_way,
                )
            elif protocol.within_group:
                demand(
                    f"the largest group of split {split!r}", f"episodes.protocols.{name}.n_way", largest, protocol.n_way
                )
            else:
                demand(f"split {split!r}", f"episodes.protocols.{name}.n_way", len(part), protocol.n_way)
    return pd.DataFrame(rows)


def _shared_by_drawers(manifest: pd.DataFrame, part: pd.DataFrame, protocol: Protocol, n_query: int) -> int:
    """The maximum number of classes of `part` in an episode from one pair of drawers."""
    numbers = drawer_numbers(manifest)
    drawers = [numbers[ids % len(manifest)] for ids in image_ids(manifest, part)]
    groups = part["group"].to_numpy()
    pools = [np.arange(len(part))]
    if protocol.within_group:
        pools = [np.flatnonzero(groups == name) for name in sorted(set(groups)) if name]
    shape = {"n_way": protocol.n_way, "k_shot": protocol.k_shot, "n_query": n_query}
    return max((pairs_of_drawers(drawers, pool, **shape).most for pool in pools), default=0)


def survives(name: str) -> bool:
    """Whether a class name survives JSON, a path and UTF-8 unchanged."""
    try:
        same = json.loads(json.dumps(name)) == name == name.encode("utf-8").decode("utf-8")
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    plain = all(part == part.strip() and part not in ("", ".", "..") for part in parts)
    signs = all(unicodedata.category(sign) != "Cc" and sign != "\\" for sign in name)
    return same and plain and signs and unicodedata.normalize("NFC", name) == name
