"""A real project of tiny images, and the command line run on it as a person runs it."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).parents[2]

# Everything small; 24 classes leave 9 for testing.
SMALL = """
ingest: {size: 16}
split: {by: class, val: 0.25, test: 0.375}
episodes: {n_episodes: 20, n_query: 2}
train: {steps: 20, device: cpu, batch: {classes: 8, images: 3},
        validation: {every: 10, protocol: 3w1s, patience: 0}}
"""
PROTOCOLS = "{3w1s: {n_way: 3, k_shot: 1, within_group: false}, 5w2s: {n_way: 5, k_shot: 2, within_group: false}}"
SETTINGS = [
    *("--set", f"episodes.protocols={PROTOCOLS}"),
    *("--set", "gate.min_accuracy={3w1s: 0.0}"),
    *("--set", "gate.group_protocol=3w1s"),
    *("--set", "gate.non_inferiority_margin=1.0"),
    *("--set", "gate.significantly_worse=allow"),
    *("--set", "gate.max_group_drop=1.0"),
]


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, both outputs, seconds."""

    code: int
    out: str
    err: str
    seconds: float


def make_project(root: Path) -> Path:
    """A clone of this repository in a git repository of its own, with small settings in overlay.yaml."""
    shutil.copytree(REPOSITORY / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    (root / "overlay.yaml").write_text(SMALL)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "the clone"]):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return root


def draw_classes(folder: Path, *, groups: int = 3, classes: int = 8, images: int = 6, seed: int = 0) -> Path:
    """Draw groups of classes of 20 x 20 images: the class's blocks and each image's own noise.

    Every two classes share their blocks, so that no model can tell all classes apart.
    """
    random, blocks = np.random.default_rng(seed), np.zeros((5, 5))
    for number in range(groups * classes):
        blocks = random.integers(0, 2, (5, 5)) * 200 if number % 2 == 0 else blocks
        place = folder / f"group{number // classes}" / f"class{number % classes:02d}"
        place.mkdir(parents=True)
        for image in range(images):
            pixels = np.kron(blocks, np.ones((4, 4))) + random.integers(0, 55, (20, 20))
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{image:02d}.png")
    return folder


def stretch(image: Path) -> None:
    """Make an image ten times as wide as high, which data must not have."""
    with Image.open(image) as opened:
        opened.resize((200, 20)).save(image)


def environment() -> dict[str, str]:
    """A person's environment: no server named, one thread, this checkout's code."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "KSHOT_"))}
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def start(root: Path, *arguments: str, names: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `kshot ...` in a session of its own, as a terminal would. `names`: more of the environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "kshot.cli", *arguments],
        cwd=root,
        env={**environment(), **(names or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kshot(root: Path, *arguments: str, names: Mapping[str, str] | None = None) -> Ended:
    """Run `kshot ...` to its end. `names`: more of the environment."""
    began = time.monotonic()
    with start(root, *arguments, names=names) as process:
        out, err = process.communicate(timeout=float(os.environ.get("KSHOT_TEST_PATIENCE_S", "240")))
    return Ended(process.returncode, out, err, time.monotonic() - began)
