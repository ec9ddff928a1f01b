"""One model trained by 2 and 3 processes against one: largest differences of weights, and the time of a step.

    python benchmarks/processes.py

Prints the table of docs/scale.md: for each loss, mining, method and setting of tests/parallel/trainings.py, the largest
difference of any weight after 20 steps. Then the seconds of a step of the built-in letters' training, Conv-4 on 60
classes x 6 images of 28 x 28 pixels, in one process with all cores and in two with half of them each, in turn.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from kshot.methods.table import build_method, describe
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.parallel.launch import run_in_processes
from kshot.parallel.share import ALONE, World
from kshot.params.schema import load_params
from kshot.training.loop import meta_train
from kshot.training.random_state import make_deterministic
from kshot.training.records import Step
from tests.parallel import trainings
from tests.short_names import train_with

SIZES, ROUNDS, STEPS = (2, 3), 3, 30
PARAMS = load_params(Path(__file__).parents[1] / "params.yaml")


def equality(names: list[str]) -> list[str]:
    """The rows of the table."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            out = Path(folder) / str(size)
            run_in_processes(trainings.compare, (names, list(trainings.DTYPES), str(out)), size, "gloo")
            found[size] = json.loads(out.read_text())
    heads = [f"{size} processes, {dtype}" for dtype in ("float64", "float32") for size in SIZES]
    rows = [f"| | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name in names:
        apart = [found[size][f"{name}, {dtype}"]["weights"] for dtype in ("float64", "float32") for size in SIZES]
        rows.append(f"| {name} | {' | '.join(f'{value:.0e}' for value in apart)} |")
    return rows


def seconds_a_step(world: World, out: str) -> None:
    """Append the median seconds of a step, from the second record on."""
    train = train_with(PARAMS.train, steps=STEPS, precision="float32", patience=0)
    make_deterministic(0)
    embedding = Embedding(EmbeddingSettings(backbone="conv4", ingest=PARAMS.ingest))
    method = build_method(describe(train.method, train.batch.class_count), embedding)
    images = np.random.default_rng(0).integers(0, 255, (1200, 28, 28, 1), dtype=np.uint8)
    members, names = np.arange(1200).reshape(60, 20), [str(label) for label in range(60)]
    records = meta_train(method, images, list(members), names, train, validation=None, world=world)
    speeds = [record.images_per_s for record in records if isinstance(record, Step)][1:]
    if world.is_first:
        with Path(out).open("a", encoding="utf-8") as file:
            file.write(f"{train.batch.size / statistics.median(speeds)}\n")


def times() -> str:
    """The medians of both, each measured ROUNDS times in turn."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            seconds_a_step(ALONE, f"{folder}/1")
            run_in_processes(seconds_a_step, (f"{folder}/2",), 2, "gloo")
        one, two = (statistics.median(map(float, (Path(folder) / name).read_text().split())) for name in ("1", "2"))
    return f"{one:.3f} s a step in one process, {two:.3f} s in two: {two / one:.2f} times; {os.cpu_count()} cores"


def main() -> None:
    print(f"torch {torch.__version__}, {trainings.STEPS} steps", flush=True)
    print(times(), flush=True)
    print("\n".join(equality(list(trainings.CASES))), flush=True)


if __name__ == "__main__":
    main()
