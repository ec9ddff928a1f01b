"""Stage evaluate: predicts the fixed test episodes, measures the space, and writes the tables of the record."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kshot.evaluation.inference import Inference, inference_of, save_inference
from kshot.evaluation.mean_distance import distance_name, mean_distance
from kshot.evaluation.space import geometry, labels_of, project, random_classes, rounded
from kshot.lifecycle.data.packed import image_ids, of_splits, read_classes, read_episodes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.settings_fit.resolved import resolved_here
from kshot.lifecycle.stages.entry import stage_main
from kshot.lifecycle.stages.evaluation.calibration import calibration, temperatures
from kshot.lifecycle.stages.evaluation.chosen_views import chosen_views
from kshot.lifecycle.stages.evaluation.held_out import read_held_out
from kshot.lifecycle.stages.evaluation.open_set import by_shots, thresholds, unknown
from kshot.lifecycle.stages.evaluation.predictions import Predictions, predict, test_protocols
from kshot.methods.mann import Mann, stream_accuracies
from kshot.methods.saving import METRIC, load_method, weights_hash
from kshot.nets.embedding import load_settings
from kshot.nets.memory import keep_freed_memory
from kshot.nets.points import Points
from kshot.params.methods import options_of
from kshot.params.schema import Params

# Method of the intervals: 1, which no file names, is Student's t alone; 2 is kshot.statistics.mean_interval. An audit
# uses each model's own method.
INTERVALS = 2
COMPARED_IMAGES = 20_000  # test images whose geometry is measured: its time grows with their square


def run(root: Path, params: Params) -> None:
    """Write the metrics, and one table each for episodes, groups, classes and confusions."""
    keep_freed_memory()
    settings = load_settings(root / layout.MODEL)
    inference = inference_of((settings.method or METRIC)["name"], params.evaluate.classifier, settings.batch_norm)
    seen = chosen_views(root, params, inference, test_protocols(root))
    method = load_method(root / layout.MODEL)
    inference = replace(inference, views=seen.views, distance=distance_name(method, inference.classifier))
    answers = predict(root, root / layout.MODEL, inference)
    folder = root / layout.EVALUATION
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, answers, params.evaluate.confused_pairs)
    classes = of_splits(read_classes(root), ["test"])
    upright = classes[classes["rotation"] == 0]
    has_fixed_embedding = options_of(inference.method).fixed_embedding
    drawn = params.evaluate.projection_classes if has_fixed_embedding else 0
    projection(root, answers, upright, drawn).to_csv(folder / "projection.csv", index=False)
    scores = accuracy(answers)
    metrics: dict[str, Any] = {"inference": described(inference), "intervals": INTERVALS, "accuracy": scores}
    if (root / layout.RESOLVED).exists():
        metrics["episodes"] = json.loads((root / layout.RESOLVED).read_text(encoding="utf-8"))
    if seen.figures:
        metrics["views"] = seen.figures
    metrics["geometry"], compared = space(root, answers, upright) if has_fixed_embedding else ({}, None)
    if compared:
        metrics["geometry_images"] = compared
    # A model that was trained on the validation classes recognises them better than any new class.
    held_out = None if "val" in params.train.splits else read_held_out(root, list(scores), inference)
    if has_fixed_embedding:
        between = mean_distance(method, inference.distance)
        limits = thresholds(held_out, params.evaluate.accept_known, between)
        metrics["unknown"] = unknown(root, list(scores), answers.points, limits, between)
        inference = replace(inference, thresholds=by_shots(root, limits))
    if held_out:
        protocols = resolved_here(root, params).episodes.by_name
        fitted = temperatures(held_out, [name for name, protocol in protocols.items() if protocol.within_group])
        metrics["calibration"] = calibration(root, held_out, answers.points, fitted)
        inference = replace(inference, temperatures=tuple(fitted.values()))
    if inference.method == "mann":
        assert isinstance(method, Mann)
        metrics["stream"] = streams(root, method, list(scores), answers.points)
    save_inference(inference, folder, weights_hash(root / layout.MODEL))
    (root / layout.METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    if seen.line:
        print(seen.line, flush=True)
    for name, row in scores.items():
        mean, low, high = (100 * row[key] for key in ("mean", "low", "high"))
        print(
            f"{name}: {mean:.2f} % [{low:.2f}, {high:.2f}] over {row['episodes']} episodes, by {inference.by}",
            flush=True,
        )


def write_tables(folder: Path, answers: Predictions, confused_pairs: int) -> None:
    """Write the tables of `answers`, with the first `confused_pairs` confusions of each protocol."""
    answers.episodes.to_parquet(folder / "episodes.parquet", index=False)
    answers.cells.to_parquet(folder / "cells.parquet", index=False)
    answers.summary.to_csv(folder / "accuracy.csv", index=False)
    answers.groups.to_csv(folder / "groups.csv", index=False)
    answers.classes.to_csv(folder / "classes.csv", index=False)
    most_confused = answers.confusions.groupby("protocol", sort=False).head(confused_pairs)
    most_confused.to_csv(folder / "confusions.csv", index=False)
    answers.wrong.to_csv(folder / "wrong.csv", index=False)


def described(inference: Inference) -> dict[str, Any]:
    """The inference settings behind the figures, for metrics.json."""
    how = {
        key: value
        for key, value in inference.record.items()
        if key not in ("thresholds", "temperatures", "plugin", "together")
    }
    if inference.plugin is not None:
        how["plugin"] = inference.plugin
    return {**how, "by": inference.by, "transductive": inference.transductive}


def streams(root: Path, method: Mann, protocols: list[str], points: Points) -> dict[str, list[float]]:
    """By protocol, a memory-augmented model's accuracy on the 1st, 2nd ... image of a class in a stream.

    The streams are the test episodes with as many classes as the model has labels, with their images in a fixed order.
    """
    found = {}
    for name in protocols:
        episodes = read_episodes(root, "test", name)
        if episodes.classes.shape[1] == method.n_way:
            found[name] = [round(value, 6) for value in stream_accuracies(method, points, episodes)]
    return found


def accuracy(answers: Predictions) -> dict[str, dict[str, Any]]:
    """Protocol to mean, low, high and episodes."""
    return {
        row["protocol"]: {
            **{key: round(float(row[key]), 6) for key in ("mean", "low", "high")},
            "episodes": int(row["episodes"]),
        }
        for row in answers.summary.to_dict("records")
    }


def space(root: Path, answers: Predictions, classes: pd.DataFrame) -> tuple[dict[str, float | None], int | None]:
    """The geometry of the test images of `classes`, None for a figure with nothing to average.

    With more than COMPARED_IMAGES, that of random classes among them, and how many images these have; else None.
    """
    members = image_ids(read_manifest(root), classes)
    compared = None
    if sum(map(len, members)) > COMPARED_IMAGES:
        members = random_classes(members, COMPARED_IMAGES)
        compared = sum(map(len, members))
    rows = answers.points.rows(np.concatenate(members))
    return rounded(geometry(answers.points.values[rows], labels_of(members))), compared


def projection(root: Path, answers: Predictions, classes: pd.DataFrame, count: int) -> pd.DataFrame:
    """Test images of `count` classes, evenly spaced in the table, projected on the two directions of largest spread."""
    chosen = classes.iloc[:: max(1, len(classes) // max(1, count))].head(count)
    frames = []
    for (_, row), ids in zip(chosen.iterrows(), image_ids(read_manifest(root), chosen), strict=True):
        frames.append(pd.DataFrame({"class": row["class"], "group": row["group"], "image": ids}))
    if not frames:
        return pd.DataFrame(columns=["x", "y", "class", "group", "image"])
    table = pd.concat(frames, ignore_index=True)
    plane = project(answers.points.values[answers.points.rows(table["image"].to_numpy())])
    table.insert(0, "x", plane[:, 0].numpy())
    table.insert(1, "y", plane[:, 1].numpy())
    return table


if __name__ == "__main__":
    stage_main(run)
