"""Lake's 20-way 1-shot runs, one drawer teaching and one other asking, answered by a trained model.

    python benchmarks/omniglot/lake_official.py OMNIGLOT.zip lake_official_runs.csv MODEL_FOLDER

MODEL_FOLDER is `model` after `kshot retrain --params benchmarks/omniglot/lake.yaml`, or the folder `embedding` of a
registered version. The table's rows are

- official: the 20 runs of Lake et al. 2015, which lake_official_runs.csv lists as run,support,query (paths within the
  archive): 400 queries, with their Wilson interval;
- all pairs: the first 20 characters, by name, of each of the 20 evaluation alphabets, asked by all 380 ordered pairs of
  drawers: 152,000 queries, with the interval over alphabets.

"inductive" predicts each query by itself. "assignment" gives each of the 20 queries of a run another class, so that the
sum of the scores is largest: it knows that every class is asked once, so it is transductive.
"""

import csv
import math
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from kshot.data.images import decode, prepare
from kshot.evaluation.inference import INFERENCE_FILE, classifier_for, inference_method, load_inference
from kshot.nets.embedding import embed
from kshot.nets.memory import keep_freed_memory
from kshot.statistics import NORMAL_95, Interval, mean_interval

N_WAY = 20
EVALUATION = "images_evaluation/"
# images_evaluation/Atlantean/character09/1019_05.png: the alphabet, the character, the drawer.
NAME = re.compile(r"(images_evaluation/[^/]+)/([^/]+)/\d+_(\d+)\.png")


class Run(NamedTuple):
    """One run: the image that teaches each class, and the image that asks for it, in the same order of classes."""

    support: list[str]
    query: list[str]


class Accuracy(NamedTuple):
    """Shares of one run's queries, in [0, 1]."""

    inductive: float
    assignment: float


def official_runs(table: Path) -> list[Run]:
    """The runs that the CSV lists, in the order of their numbers."""
    runs: dict[int, Run] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            run = runs.setdefault(int(row["run"]), Run([], []))
            run.support.append(row["support"])
            run.query.append(row["query"])
    return [runs[number] for number in sorted(runs)]


def pairs_of_drawers(names: list[str]) -> dict[str, list[Run]]:
    """For each alphabet of images_evaluation, a run of its first 20 characters for each ordered pair of drawers."""
    drawn: dict[str, dict[str, dict[str, str]]] = {}
    for name in sorted(names):
        if found := NAME.fullmatch(name):
            alphabet, character, drawer = found.groups()
            drawn.setdefault(alphabet, {}).setdefault(character, {})[drawer] = name
    return {alphabet: list(_pairs(list(characters.values())[:N_WAY])) for alphabet, characters in drawn.items()}


def _pairs(characters: list[dict[str, str]]) -> Iterator[Run]:
    for teacher in characters[0]:
        for asker in characters[0]:
            if teacher != asker:
                yield Run([drawn[teacher] for drawn in characters], [drawn[asker] for drawn in characters])


class Model:
    """A trained model, and the embedding of every image that it was asked about."""

    def __init__(self, folder: Path, archive: Path) -> None:
        # A project keeps how a model answers beside its figures, a registered version with the weights.
        places = (folder, folder.resolve().parent / "reports/evaluation")
        inference = load_inference(next(place for place in places if (place / INFERENCE_FILE).exists()))
        method = inference_method(folder, inference)
        ingest = method.embedding.settings.ingest
        self.scores = classifier_for(method, inference.classifier)
        with zipfile.ZipFile(archive) as file:
            self.names = [name for name in file.namelist() if name.startswith(EVALUATION) and name.endswith(".png")]
            images = np.stack([prepare(decode(file.read(name), ingest.channels), ingest) for name in self.names])
        self.rows = {name: row for row, name in enumerate(self.names)}
        self.points = embed(method, images, np.arange(len(images)))

    def answer(self, runs: list[Run]) -> list[Accuracy]:
        """The accuracy on each run."""
        return [accuracy(scores) for part in _chunks(runs) for scores in self._scores(part)]

    def _scores(self, runs: list[Run]) -> Tensor:
        """(runs, queries, classes); query i asks for class i."""
        support, query = (
            torch.tensor([[self.rows[name] for name in images] for images in side]) for side in zip(*runs, strict=True)
        )
        n_way = support.shape[1]
        return self.scores(self.points[support], torch.arange(n_way), self.points[query], n_way)


def _chunks(runs: list[Run], size: int = 100) -> Iterator[list[Run]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def accuracy(scores: Tensor) -> Accuracy:
    """scores (queries, classes), query i asks for class i."""
    right = torch.arange(len(scores))
    rows, columns = linear_sum_assignment(scores.numpy(), maximize=True)
    assigned: NDArray[np.bool_] = columns == rows
    return Accuracy(float((scores.argmax(1) == right).double().mean()), float(assigned.mean()))


def wilson(right: int, count: int) -> Interval:
    """Wilson's 95 % interval of a share (1927): its ends lie within [0, 1], and it has a width at 0 and 1 too."""
    share, z = right / count, NORMAL_95
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, middle - half, min(1.0, middle + half))


def percent(interval: Interval) -> str:
    """Such as "98.75 [97.11, 99.46]"."""
    mean, low, high = (100 * value for value in interval)
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def main(archive: Path, table: Path, folder: Path) -> None:
    """Answer both sets of runs and print the table."""
    keep_freed_memory()
    model = Model(folder, archive)
    official = model.answer(official_runs(table))
    print("| protocol | inductive | by one-to-one assignment (transductive) | queries |")
    print("|---|---|---|---|")
    queries = N_WAY * len(official)
    columns = [wilson(round(N_WAY * sum(shares)), queries) for shares in zip(*official, strict=True)]
    print(f"| official, {len(official)} runs | {' | '.join(map(percent, columns))} | {queries:,} |", flush=True)
    alphabets = {name: model.answer(runs) for name, runs in pairs_of_drawers(model.names).items()}
    means = [[float(np.mean(shares)) for shares in zip(*found, strict=True)] for found in alphabets.values()]
    columns = [mean_interval(shares) for shares in zip(*means, strict=True)]
    queries = N_WAY * sum(map(len, alphabets.values()))
    print(f"| all pairs of drawers, {len(alphabets)} alphabets | {' | '.join(map(percent, columns))} | {queries:,} |")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
