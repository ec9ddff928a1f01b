"""The report's sections, read from the stage outputs. A section is None if its output is missing or empty."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kshot.lifecycle.pages.render import is_missing
from kshot.lifecycle.pages.thumbnails import Thumbnails, count_of, of_label, read_thumbnails
from kshot.lifecycle.params_file.settings import PARAMS
from kshot.lifecycle.project import layout
from kshot.lifecycle.report.embedding_map import embedding_map
from kshot.lifecycle.report.left_out import data_section
from kshot.lifecycle.report.wrong_predictions import wrong_predictions
from kshot.params.reader import read_mapping

HARDEST = 12  # classes shown with images
LISTED = 300  # classes shown in all
MANY_ACCEPTED = 0.2  # share of unknown queries that are accepted, above which a reader is warned
MISCALIBRATED = 0.02  # calibration error above which a reader is warned of a temperature that made it larger
SIDE = 64  # pixels of the thumbnails of a class
PROJECTED = ("x", "y", "class", "group", "image")
NAMES = ("protocol", "class", "group", "predicted")  # text columns; all others are numbers

Section = dict[str, Any]


def read_sections(root: Path) -> dict[str, Any]:
    """All sections, by their names in the template."""
    accuracy = accuracies(root)
    hardest_protocol = min(accuracy["rows"], key=lambda row: known(row["mean"], 2.0))["protocol"] if accuracy else None
    thumbnails = read_thumbnails(root)
    return {
        "accuracy": accuracy,
        "protocol": hardest_protocol,
        "training": training(root),
        "groups": groups(root, hardest_protocol),
        "classes": classes(root, hardest_protocol, thumbnails),
        "confusions": confusions(root, hardest_protocol, thumbnails),
        "wrong": wrong_predictions(wrong_table(root, hardest_protocol), thumbnails),
        "map": embedding_map(read_table(root / layout.EVALUATION / "projection.csv", PROJECTED), thumbnails),
        "data": data_section(root),
        "geometry": read_json(root / layout.METRICS).get("geometry"),
        "geometry_images": read_json(root / layout.METRICS).get("geometry_images"),
        "space": read_json(root / layout.SPACE),
    }


def accuracies(root: Path) -> Section | None:
    """Accuracy by protocol, with the protocol's task and the accuracy of guessing."""
    rows = []
    metrics = read_json(root / layout.METRICS)
    resolved = metrics.get("episodes", {}).get("protocols") or named_protocols(root)
    for protocol, score in metrics.get("accuracy", {}).items():
        within_group = resolved.get(protocol, {}).get("within_group", False)
        rows.append({"protocol": protocol, **score, **task_of(root, protocol, within_group)})
    more = {name: metrics.get(name) for name in ("views", "unknown", "calibration", "stream")}
    more["inference"] = metrics.get("inference", metrics.get("answering"))  # its name until 2026-11
    return {"rows": rows, "scale": scale(rows), **more, **warnings(metrics)} if rows else None


def warnings(metrics: Section) -> Section:
    """Protocols that a reader should not trust.

    accepted_unknown   the rows that accept more than MANY_ACCEPTED of the unknown queries, the most first
    uncalibrated       those without a temperature
    worse_calibrated   those with an error above MISCALIBRATED that the temperature made larger
    """
    unknown = [{"protocol": name, **row} for name, row in (metrics.get("unknown") or {}).items()]
    many = [row for row in unknown if (row["false_accept"] or 0) > MANY_ACCEPTED]
    calibration = [(name, row, row["after"] or 0) for name, row in (metrics.get("calibration") or {}).items()]
    return {
        "accepted_unknown": sorted(many, key=lambda row: -row["false_accept"]),
        "uncalibrated": [name for name, row, _ in calibration if row["after"] is None],
        "worse_calibrated": [name for name, row, error in calibration if error > max(MISCALIBRATED, row["before"])],
    }


def named_protocols(root: Path) -> Mapping[str, Section]:
    """The protocols that params.yaml names; empty where it says `auto`, whose protocols are in the metrics."""
    path = root / PARAMS
    found = (read_mapping(path).get("episodes") or {}).get("protocols") if path.exists() else None
    return found if isinstance(found, Mapping) else {}


def task_of(root: Path, protocol: str, within_group: bool) -> Section:
    """The task of an episode of `protocol` as text, and the accuracy of guessing."""
    try:
        with np.load(root / layout.EPISODES / f"test-{protocol}.npz", allow_pickle=False) as arrays:
            _, n_way, k_shot = arrays["support"].shape
    except FileNotFoundError:
        return {"asks": "", "chance": None}
    images = "1 example each" if k_shot == 1 else f"{k_shot} examples each"
    group = " of one group" if within_group else ""
    return {"asks": f"{n_way} classes{group}, {images}", "chance": 1 / n_way}


def training(root: Path) -> Section | None:
    """The steps of the training log: loss, validation, and how it ended."""
    path = root / layout.TRAIN_LOG
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    steps = [line for line in lines if "loss" in line]
    if not steps:
        return None
    validations = [line for line in lines if "val_accuracy" in line]
    unit = "features" if _logged(steps, "features_per_s") else "images"
    return {
        "steps": _logged(steps, "step"),
        "loss": _logged(steps, "loss"),
        "active": _logged(steps, "active"),
        "validations": validations,
        "best": _last(validations, "best"),
        "unit": unit,
        "speed": float(np.median(_logged(steps, f"{unit}_per_s") or [math.nan])),
        "end": _last(lines, "done"),
    }


def _logged(lines: list[Section], name: str) -> list[float]:
    return [line[name] for line in lines if line.get(name) is not None]


def _last(lines: list[Section], name: str) -> Section | None:
    """The last line that says yes to `name`."""
    return next((line for line in reversed(lines) if line.get(name)), None)


def groups(root: Path, protocol: str | None) -> Section | None:
    """Accuracy by group, lowest first; None if the data has no groups."""
    table = of_protocol(root, "groups.csv", protocol)
    if not table["group"].astype(bool).any():
        return None
    rows = records(table.sort_values(["accuracy", "group"]))
    return {"rows": rows, "scale": scale(rows)}


def classes(root: Path, protocol: str | None, thumbnails: Thumbnails | None) -> Section:
    """Accuracy by class, lowest first: the `hardest` with a few of their images, `others`, and how many `more`."""
    table = of_protocol(root, "classes.csv", protocol).sort_values(["accuracy", "class", "rotation"])
    rows: list[Section] = []
    for row in records(table.head(LISTED)):
        turns = int(known(row["rotation"], 0.0))
        label = f"{row['class']} @{90 * turns}" if turns else row["class"]
        shown = of_label(thumbnails, label, 3, SIDE) if len(rows) < HARDEST else []
        rows.append({**row, "label": label, "thumbnails": shown, "images": count_of(thumbnails, label)})
    return {
        "hardest": rows[:HARDEST],
        "others": rows[HARDEST:],
        "more": max(0, len(table) - LISTED),
        "turned": bool((table["rotation"] > 0).any()),
        "scale": scale(rows),
    }


def confusions(root: Path, protocol: str | None, thumbnails: Thumbnails | None) -> list[Section]:
    """The pairs of classes confused most often when an episode contains both, with images of both."""
    rows = records(of_protocol(root, "confusions.csv", protocol))
    return [
        {
            **row,
            "thumbnails": of_label(thumbnails, row["class"], 3, SIDE),
            "predicted_thumbnails": of_label(thumbnails, row["predicted"], 3, SIDE),
        }
        for row in rows
    ]


def wrong_table(root: Path, protocol: str | None) -> pd.DataFrame | None:
    """The wrong predictions of one protocol; None for an evaluation that stored none."""
    if not (root / layout.EVALUATION / "wrong.csv").exists():
        return None
    return of_protocol(root, "wrong.csv", protocol)


def of_protocol(root: Path, name: str, protocol: str | None) -> pd.DataFrame:
    """The rows of one protocol in a table of the evaluation."""
    columns = {
        "groups.csv": ("protocol", "group", "queries", "accuracy", "low", "high"),
        "classes.csv": ("protocol", "class", "rotation", "queries", "accuracy", "low", "high"),
        "wrong.csv": ("protocol", "class", "predicted", "image", "right_support", "wrong_support"),
        "confusions.csv": ("protocol", "class", "predicted", "count", "queries", "rate", "low"),
    }
    table = read_table(root / layout.EVALUATION / name, columns[name])
    return table[table["protocol"] == (protocol or "")]


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table with at least `columns`; names stay text even if they read "NA" or "007"."""
    try:
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(NAMES, str),
            keep_default_na=False,
            na_values={name: ["", "nan"] for name in columns if name not in NAMES},
        )
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame({name: pd.Series(dtype=str if name in NAMES else float) for name in columns})
    return table.reindex(columns=list(columns))


def records(table: pd.DataFrame) -> list[Section]:
    """One dictionary per row."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one if there is no file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def scale(rows: list[Any]) -> Section:
    """An axis in per cent for intervals: a round start below every figure, the end at 100, and a few ticks.

    A value that could not be computed (NaN or None: a single episode has no interval) is ignored.
    """
    figures = [row.get(name) for row in rows for name in ("low", "mean", "accuracy")]
    low = 100 * max(0.0, min((value for value in figures if not is_missing(value)), default=0.0))
    step = next(width for width in (0.5, 1, 2, 5, 10, 20, 25) if (100 - low) / width <= 5 or width == 25)
    start = max(0.0, math.floor((low - step / 4) / step) * step)
    ticks = np.arange(start, 100 + step / 2, step)
    return {"start": start, "span": 100 - start, "ticks": [float(tick) for tick in ticks]}


def place(value: Any, axis: Section) -> float | None:
    """The position of a share on an axis of `scale`, in per cent of its length; None for a missing value."""
    if is_missing(value):
        return None
    return min(100.0, max(0.0, 100 * (100 * float(value) - float(axis["start"])) / float(axis["span"])))


def known(value: Any, otherwise: float) -> float:
    """`value`, or `otherwise` if it is missing."""
    return otherwise if is_missing(value) else float(value)
