"""A project with DVC, and small sources of images to add to it."""

import csv
import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kshot.params.reader import read_mapping
from kshot.params.schema import Params, params_from
from tests.short_names import set_train

REPOSITORY = Path(__file__).parents[2]


def make(root: Path) -> Path:
    """A git repository with this project's settings and no data."""
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".dvc" / "config", root / ".dvc")
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def image(name: str, height: int = 12, width: int = 10) -> bytes:
    """A PNG whose pixels follow from `name`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_tree(folder: Path, classes: Mapping[str, int]) -> Path:
    """As many images a class as asked: folder/<class>/0.png, ..."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(image(f"{name}/{number}"))
    return folder


def write_zip(file: Path, members: Mapping[str, bytes]) -> Path:
    """A compressed .zip of these members."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_raw(root: Path, classes: Mapping[str, int], splits: Mapping[str, str] | None = None) -> Path:
    """data/raw as `kshot data add` leaves it, without DVC: for the stages that read it. Returns its images folder."""
    images = write_tree(root / "data" / "raw" / "images", classes)
    write_manifest(root, splits)
    return images


def write_manifest(root: Path, splits: Mapping[str, str] | None = None) -> None:
    """The manifest of whatever lies in data/raw/images."""
    folder = root / "data" / "raw"
    rows = []
    for path in files_below(folder / "images"):
        name = path.rpartition("/")[0]
        rows.append((f"images/{path}", name, name.rpartition("/")[0], (splits or {}).get(name, "")))
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "class", "group", "split"), *sorted(rows)])


def settings(**sections: Mapping[str, object]) -> Params:
    """The default params with these keys changed, section by section."""
    mapping = read_mapping(REPOSITORY / "params.yaml")
    for section, changes in sections.items():
        if section == "train":
            set_train(mapping, **changes)
        else:
            mapping[section].update(changes)
    return params_from(mapping)


SMALL: dict[str, dict[str, Any]] = {
    "ingest": {"size": 8},
    "split": {"by": "class", "val": 0.25, "test": 0.25},
    "episodes": {
        "n_episodes": 50,
        "n_query": 2,
        "protocols": {
            "3w1s": {"n_way": 3, "k_shot": 1, "within_group": False},
            "2w2s": {"n_way": 2, "k_shot": 2, "within_group": False},
        },
    },
    "train": {"classes_per_batch": 4, "images_per_class": 3, "validation_protocol": "3w1s"},
    "gate": {"min_accuracy": {"3w1s": 0.5}, "group_protocol": "3w1s"},
}
