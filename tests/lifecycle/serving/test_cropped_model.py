"""A model trained on cropped drawings also crops the images it predicts: their position has no effect."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kshot.lifecycle.drift.measured_images import measure_images
from kshot.lifecycle.tasks.source import read_tasks
from kshot.methods.method import Method
from kshot.methods.metric import Metric
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of

CLASSES, EACH = ("a", "b"), 3


def write(folder: Path, top: int, left: int) -> list[Path]:
    """Drawings of two classes, 30 pixels high, on sheets of 60 x 80."""
    rng, files = np.random.default_rng(0), []
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(EACH):
            sheet = np.full((60, 80), 255, dtype=np.uint8)
            drawn = np.kron(rng.integers(0, 2, (6, 6)), np.ones((5, 5), dtype=int))
            drawn[0] = drawn[:, 0] = drawn[-1] = 1  # so that all are equally large
            sheet[top : top + 30, left : left + 30][drawn > 0] = 0
            files.append(folder / name / f"{number}.png")
            Image.fromarray(sheet).save(files[-1])
    return files


def model(crop: str) -> Method:
    torch.manual_seed(0)
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    ingest = {"size": 28, "channels": 1, "invert": True, "crop": crop}
    return Metric(Embedding(settings_of({**settings, "ingest": ingest})), n_way=2, k_shot=1).eval()


@pytest.mark.parametrize("crop", ["ink", "none"])
def test_drift_looks_at_cropped_images_where_the_model_does(tmp_path: Path, crop: str) -> None:
    points = [
        measure_images(write(tmp_path / str(left), 3, left), model(crop), tmp_path / str(left)).points
        for left in (5, 38)
    ]
    assert torch.equal(*points) == (crop == "ink")


@pytest.mark.parametrize("crop", ["ink", "none"])
def test_tasks_are_read_from_cropped_images_where_the_model_is(tmp_path: Path, crop: str) -> None:
    points = []
    for left in (5, 38):
        write(tmp_path / str(left) / "task", 3, left)
        (task,) = read_tasks(tmp_path, str(tmp_path / str(left) / "task"), model(crop)).tasks.values()
        points.append(task.points)
    assert torch.equal(*points) == (crop == "ink")
