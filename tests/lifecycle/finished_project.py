"""A tiny project in the state after a retraining, written by hand: input for records, without any training."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kshot.lifecycle.project import layout
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from tests.lifecycle import packed_project

REPOSITORY = Path(__file__).parents[2]
DATA = "0123456789abcdef0123456789abcdef"
SETTINGS = {"size": packed_project.SIZE, "channels": 1, "invert": True}
STEPS = [{"step": step, "loss": 1 / step, "learning_rate": 0.001, "images_per_s": 100.0} for step in (10, 20)]
VALIDATION = {"step": 20, "val_accuracy": 0.5, "val_low": 0.4, "val_high": 0.6, "best": True}
DONE = {"step": 20, "done": True, "reason": "all 20 steps done", "seconds": 1.0}
METRICS = {
    "inference": {
        "method": "metric",
        "classifier": "prototype",
        "batch_norm": "eval",
        "by": "prototype",
        "transductive": False,
    },
    "accuracy": {"3w1s": {"mean": 0.75, "low": 0.7, "high": 0.8, "episodes": 20}},
    "geometry": {"within": 0.5, "between": 1.0, "ratio": 0.5, "map_at_r": None, "recall_at_1": 0.9},
}
SPACE = {
    "parameters": {"learned": 7, "total": 9},
    "adaptation": "all of it learns",
    "measured_on": "validation classes",
    "before": {"map_at_r": 0.25, "hubness": None},
    "after": {"map_at_r": 0.5, "hubness": 1.0},
}


def write(root: Path) -> Path:
    """Data, split, episodes, model, reports and dvc.lock; no git repository, no database."""
    packed_project.write(root)
    params = packed_project.params((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    (root / "params.yaml").write_text(params, encoding="utf-8")
    shutil.copy(REPOSITORY / "dvc.yaml", root)
    out = {"md5": f"{DATA}.dir", "size": 1, "nfiles": 1, "hash": "md5", "path": "raw"}
    (root / layout.RAW_DVC).write_text(yaml.safe_dump({"outs": [out]}))
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    model = Embedding(settings_of({**settings, "ingest": SETTINGS, "trained_on": ["x"], "device": "cpu"}))
    save_embedding(model, root / layout.MODEL)
    (root / layout.EVALUATION).mkdir(parents=True)
    write_predictions(root, 2)
    (root / layout.METRICS).write_text(json.dumps(METRICS))
    (root / layout.SPACE).write_text(json.dumps(SPACE))
    (root / layout.TRAIN_LOG).write_text(lines(*STEPS, VALIDATION, DONE))
    write_lock(root)
    return root


def write_predictions(root: Path, episodes: int) -> None:
    """Predictions of one class: every other episode half right, the others all."""
    folder = root / layout.EVALUATION
    table = pd.DataFrame({"protocol": "3w1s", "episode": range(episodes)})
    right = table["episode"].map(lambda number: 10 if number % 2 else 5)
    table.assign(accuracy=right / 10).to_parquet(folder / "episodes.parquet")
    cell = {"class": "c/a", "rotation": 0, "group": "c", "queries": 10, "right": right}
    table.assign(**cell).to_parquet(folder / "cells.parquet")


def write_lock(root: Path, *, data: str = DATA, steps: int = 20, seconds: str = "a") -> None:
    """dvc.lock with three stages; `seconds` stands for an output that differs from time to time."""
    stages: dict[str, Any] = {
        "ingest": {
            "cmd": "python -m kshot.lifecycle.stages.ingest",
            "deps": [{"path": "data/raw", "hash": "md5", "md5": f"{data}.dir", "size": 1, "nfiles": 1}],
            "params": {"params.yaml": {"ingest": SETTINGS}},
            "outs": [{"path": "data/packed", "hash": "md5", "md5": "p.dir", "size": 1}],
        },
        "episodes": {
            "cmd": "python -m kshot.lifecycle.stages.episodes",
            "deps": [{"path": "data/packed/manifest.parquet", "hash": "md5", "md5": "m", "size": 1}],
            "outs": [{"path": "data/episodes", "hash": "md5", "md5": "e.dir", "size": 1}],
        },
        "train": {
            "cmd": "python -m kshot.lifecycle.stages.train",
            "deps": [{"path": "data/packed", "hash": "md5", "md5": "p.dir", "size": 1}],
            "params": {"params.yaml": {"train": {"steps": steps, "device": "cpu"}}},
            "outs": [{"path": "reports/train.jsonl", "hash": "md5", "md5": seconds, "size": 1}],
        },
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def lines(*records: dict[str, Any]) -> str:
    """Records as the training log holds them."""
    return "".join(json.dumps(record) + "\n" for record in records)


def commit(root: Path) -> None:
    """Put the whole project into a git repository of its own."""
    (root / ".gitignore").write_text(
        ".kshot/\n/mlruns/\n/model/\n/reports/\n/data/packed/\n/data/split/\n/data/episodes/\n"
    )
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
