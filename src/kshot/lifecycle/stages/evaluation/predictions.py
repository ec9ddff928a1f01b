"""A model's predictions for the project's fixed test episodes, as tables that can be stored and compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from kshot.classifiers import OWN
from kshot.data.episodes import EpisodeSet
from kshot.errors import CheckpointError
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.inference import Inference, classifier_for, inference_method
from kshot.evaluation.wrong_queries import WrongQuery, wrong_queries
from kshot.lifecycle.data.packed import image_ids, label_names, of_splits, read_classes, read_episodes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.stages.features import inputs_of
from kshot.methods.mann import Mann
from kshot.methods.method import Method
from kshot.nets.points import Points
from kshot.statistics import NORMAL_95, mean_interval, ratio_interval

Labels = NDArray[np.integer[Any]]
WRONG_SHOWN = 24  # wrong predictions of a protocol that are stored, for the report
PAIRS_AT_ONCE = 4096  # rows in memory at once, one flag per episode: 4 MB for 1,000 episodes


class Predictions(NamedTuple):
    """Accuracies are shares in [0, 1], intervals are 95 % over episodes.

    episodes    protocol, episode, accuracy: one row per episode, for paired comparison
    summary     protocol, mean, low, high, episodes
    groups      protocol, group, queries, accuracy, low, high
    classes     protocol, class, rotation, queries, accuracy, low, high
    confusions  protocol, class, predicted, count, queries (of the class in episodes with both classes), rate
                (count / queries), low (of the rate); sorted by low, highest first
    cells       protocol, episode, class, rotation, group, queries, right: one row per class of an episode, to compare
    wrong       protocol, episode, image, class, predicted, margin, right_support, wrong_support: the most confident
                wrong predictions, as in `kshot.evaluation.wrong_queries`
    points      the embedded test images, upright and rotated
    """

    episodes: pd.DataFrame
    summary: pd.DataFrame
    groups: pd.DataFrame
    classes: pd.DataFrame
    confusions: pd.DataFrame
    cells: pd.DataFrame
    wrong: pd.DataFrame
    points: Points


def predict(root: Path, model: Path, inference: Inference, images: Path | None = None) -> Predictions:
    """Evaluate the model in the folder `model`, with inference settings `inference`, on all test protocols.

    `images`: another .npy of the same images, for a model that was trained with another image size.

    Each test image is embedded once, in float32. Raises CheckpointError for a model that cannot be loaded.
    """
    method = inference_method(model, inference, project_device(root))
    classify = classifier_for(method, inference.classifier)
    classes = read_classes(root)
    sets = feasible_protocols(
        {name: read_episodes(root, "test", name) for name in test_protocols(root)}, method, inference
    )
    test_ids = image_ids(read_manifest(root), of_splits(classes, ["test"]))
    pixels = inputs_of(root, method.embedding) if images is None else np.load(images, mmap_mode="r")
    points = embed_once(method, pixels, *test_ids)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in Predictions._fields[:-1]}
    for name, episodes in sets.items():
        predicted = predict_episodes(points, episodes, classify)
        wrong = wrong_queries(points, episodes, predicted, classify, WRONG_SHOWN)
        for table, frame in {**tables_of(predicted, episodes, classes), "wrong": wrong_table(wrong, classes)}.items():
            frame.insert(0, "protocol", name)
            tables[table].append(frame)
    frames = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return Predictions(**frames, points=points)


def feasible_protocols(sets: Mapping[str, EpisodeSet], method: Method, inference: Inference) -> dict[str, EpisodeSet]:
    """The protocols that the model can predict: a memory network by itself has a fixed number of labels.

    Raises CheckpointError if it can predict none.
    """
    most = method.n_way if isinstance(method, Mann) and inference.classifier == OWN else None
    found = {name: one for name, one in sets.items() if most is None or one.classes.shape[1] <= most}
    if not found:
        raise CheckpointError(
            f"the model has {most} labels, and each of {', '.join(sets)} asks more classes: add {most}w1s to "
            "episodes.protocols"
        )
    return found


def test_protocols(root: Path) -> list[str]:
    """The names of the protocols that have test episodes, easiest first."""
    paths = (root / layout.EPISODES).glob("test-*.npz")
    names = [path.stem.removeprefix("test-") for path in paths]
    return sorted(names, key=lambda name: (read_episodes(root, "test", name).classes.shape[1], name))


def tables_of(predicted: Tensor, episodes: EpisodeSet, classes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables of Predictions except `wrong`, without their column protocol.

    predicted (E, n_way, n_query): positions in [0, n_way).
    classes: one row per label, as returned by `read_classes`.
    """
    scores = accuracies(predicted)
    truth = np.broadcast_to(episodes.classes[:, :, None], predicted.shape)
    guess = np.take_along_axis(episodes.classes, predicted.numpy().reshape(len(predicted), -1), 1).reshape(truth.shape)
    mean, low, high = mean_interval(scores)
    return {
        "episodes": pd.DataFrame({"episode": np.arange(len(scores)), "accuracy": scores}),
        "summary": pd.DataFrame({"mean": [mean], "low": [low], "high": [high], "episodes": [len(scores)]}),
        "groups": _by_group(truth, guess, classes),
        "classes": _by_class(truth, guess, classes),
        "confusions": _confusions(truth, guess, classes),
        "cells": _cells(truth, guess, classes),
    }


def wrong_table(wrong: list[WrongQuery], classes: pd.DataFrame) -> pd.DataFrame:
    """The table `wrong` of Predictions without its column protocol, the largest margin first."""
    table = pd.DataFrame(wrong, columns=WrongQuery._fields)
    names = label_names(classes)
    named = {"class": [names[row] for row in table["label"]], "predicted": [names[row] for row in table["predicted"]]}
    columns = ["episode", "image", "class", "predicted", "margin", "right_support", "wrong_support"]
    return table.rename(columns={"query": "image"}).assign(**named)[columns]


def _cells(truth: Labels, guess: Labels, classes: pd.DataFrame) -> pd.DataFrame:
    labels, episodes = truth[:, :, 0].ravel(), np.arange(len(truth)).repeat(truth.shape[1])
    table = classes.loc[labels, ["class", "rotation", "group"]].reset_index(drop=True)
    table.insert(0, "episode", episodes)
    return table.assign(queries=truth.shape[2], right=(truth == guess).sum(2).ravel())


def _by_class(truth: Labels, guess: Labels, classes: pd.DataFrame) -> pd.DataFrame:
    labels, right = truth[:, :, 0].ravel(), (truth == guess).mean(2).ravel()
    rows: list[dict[str, Any]] = []
    for label, places in pd.Series(right).groupby(labels):
        mean, low, high = mean_interval(places)
        queries = len(places) * truth.shape[2]
        rows.append({"label": label, "queries": queries, "accuracy": mean, "low": low, "high": high})
    table = pd.DataFrame(rows).set_index("label")
    return classes.loc[table.index, ["class", "rotation"]].join(table).reset_index(drop=True)


def _by_group(truth: Labels, guess: Labels, classes: pd.DataFrame) -> pd.DataFrame:
    codes, groups = pd.factorize(classes["group"], sort=True)
    episode = np.broadcast_to(np.arange(len(truth))[:, None, None], truth.shape)
    cell = episode * len(groups) + codes[truth]
    shape = (len(truth), len(groups))
    queries = np.bincount(cell.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    right = np.bincount(cell[truth == guess], minlength=shape[0] * shape[1]).reshape(shape)
    rows: list[dict[str, Any]] = []
    for column in np.flatnonzero(queries.sum(0)):
        mean, low, high = ratio_interval(right[:, column], queries[:, column])
        count = int(queries[:, column].sum())
        rows.append({"group": str(groups[int(column)]), "queries": count, "accuracy": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def _confusions(truth: Labels, guess: Labels, classes: pd.DataFrame) -> pd.DataFrame:
    """Confused pairs of classes; only episodes with both classes count, so a rate is a share of their queries.

    Pairs that occur together in few episodes have rates of 0 or 1 by chance. So pairs are sorted by the lower end of
    Wilson's 95 % interval with the number of episodes, not queries, as its count: queries of one episode share their
    support.
    """
    wrong = truth != guess
    pairs = pd.DataFrame({"truth": truth[wrong], "guess": guess[wrong]}).value_counts().rename("count").reset_index()
    truths, guesses = pairs["truth"].to_numpy(dtype=np.int64), pairs["guess"].to_numpy(dtype=np.int64)
    together = _episodes_with_both(truth[:, :, 0], truths, guesses, len(classes))
    names = np.asarray(label_names(classes), dtype=object)
    queries = together * truth.shape[2]
    rate = pairs["count"].to_numpy(dtype=np.int64) / queries
    table = pd.DataFrame(
        {
            "class": names[truths],
            "predicted": names[guesses],
            "count": pairs["count"].to_numpy(dtype=np.int64),
            "queries": queries,
            "rate": rate,
            "low": _wilson_low(rate, together),
        }
    )
    order = ["low", "count", "class", "predicted"]
    return table.sort_values(order, ascending=[False, False, True, True], ignore_index=True)


def _episodes_with_both(labels: Labels, first: Labels, second: Labels, n_labels: int) -> NDArray[np.int64]:
    """For each pair (first, second) of labels, how many rows of `labels` (E, n_way) contain both."""
    holds = np.zeros((n_labels, len(labels)), dtype=bool)
    holds[labels, np.arange(len(labels))[:, None]] = True
    pairs = np.stack([first, second], 1)
    parts = [
        (holds[part[:, 0]] & holds[part[:, 1]]).sum(1)
        for part in np.split(pairs, range(PAIRS_AT_ONCE, len(pairs), PAIRS_AT_ONCE))
    ]
    return np.concatenate(parts).astype(np.int64)


def _wilson_low(share: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """The lower end of Wilson's 95 % interval (1927) of shares of `count` independent trials, at least 1."""
    z2 = NORMAL_95**2
    middle = share + z2 / (2 * count)
    half = NORMAL_95 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    low: NDArray[np.float64] = np.clip((middle - half) / (1 + z2 / count), 0, 1)
    return low
