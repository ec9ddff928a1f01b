"""Reads a data version from DVC's cache: the size and a vector of every image, to find images that are alike."""

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.images import Packed, pack
from kshot.evaluation.inference import inference_method, load_inference
from kshot.lifecycle.data import cached_images
from kshot.lifecycle.data.cached_images import CachedImage
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.packed import read_manifest
from kshot.lifecycle.project import layout, progress
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.stages.features import inputs_of
from kshot.load_yaml import load_yaml
from kshot.methods.method import Method
from kshot.nets.embedding import WEIGHTS, embed
from kshot.params.sections.ingest import Ingest

NEW_KEYS = {"ingest.fit": Ingest.fit, "ingest.store": Ingest.store}  # missing where an older kshot packed
COPY = Ingest(size=16, channels=1, invert=False, crop="none")  # of an image, compared where there is no model


@dataclass(frozen=True)
class Measured:
    """The images of a version that can be read.

    images      as in the version's manifest, by class and path
    files       their files in DVC's cache
    sizes       (N, 2) width and height in pixels
    points      (N, D) float32
    by          what `points` are, for a person
    embedded    whether `points` are a model's embedding
    unreadable  path and reason of the others
    """

    images: list[CachedImage]
    files: list[Path]
    sizes: NDArray[np.int64]
    points: Tensor
    by: str
    embedded: bool
    unreadable: list[tuple[str, str]]


def measure(root: Path, version: DataVersion) -> Measured:
    """Embed the version with this folder's model, else the champion, else compare small grey copies of the images.

    Images that the stages have packed or embedded already are not decoded again. Raises DataError if the version's
    files are neither in DVC's cache nor in a remote.
    """
    images = cached_images.images(root, version.md5)
    files = cached_images.files(root, version.md5, [image.md5 for image in images])
    with tempfile.TemporaryDirectory(dir=private_state(root)) as name:
        method, by = _model(root, Path(name) / "champion")
        if method is not None and (done := _packed(root, version, images, files, method)):
            return replace(done, by=by)
        ingest = method.embedding.settings.ingest if method is not None else COPY
        packed = Path(name) / "images.npy"
        records = list(progress.counted(pack(files, packed, ingest), len(files), "reading images"))
        pixels = np.load(packed, mmap_mode="r")
        progress.step(f"comparing {len(pixels):,} images")
        points = _grey_copies(pixels) if method is None else embed(method, pixels, np.arange(len(pixels)))
    good = [row for row, record in enumerate(records) if isinstance(record, Packed)]
    return Measured(
        images=[images[row] for row in good],
        files=[files[row] for row in good],
        sizes=np.array([(one.width, one.height) for one in records if isinstance(one, Packed)]).reshape(-1, 2),
        points=points,
        by=by,
        embedded=method is not None,
        unreadable=[
            (image.path, record.reason)
            for image, record in zip(images, records, strict=True)
            if not isinstance(record, Packed)
        ],
    )


def _model(root: Path, scratch: Path) -> tuple[Method | None, str]:
    """This folder's model or the champion if its embedding is fixed, else None; and how images are compared."""
    copies = f"small grey copies of the images ({COPY.size} x {COPY.size} pixels)"
    if (root / layout.MODEL / WEIGHTS).exists():
        folder, name = root / layout.MODEL, "the model in this folder"
        inference = load_inference(root / layout.EVALUATION)
    elif (champion := model_versions.champion(root)) is not None:
        folder = registered_files.model_files(root, champion.version, scratch)
        name, inference = f"champion version {champion.version}", load_inference(folder)
    else:
        return None, f"{copies}, because there is no model yet"
    method = inference_method(folder, inference, project_device(root))
    if not method.has_fixed_embedding:
        return None, f"{copies}, because {name} adapts to each episode and gives an image no fixed embedding"
    return method, f"the embedding of {name}"


def _packed(
    root: Path, version: DataVersion, images: list[CachedImage], files: list[Path], method: Method
) -> Measured | None:
    """The version's images as the stages packed them, if they packed this version for this model; else None."""
    lock = root / layout.LOCK_FILE
    if not lock.exists() or not (root / layout.PACKED / "manifest.parquet").exists():
        return None
    stage = load_yaml(lock.read_text(encoding="utf-8"))["stages"].get("ingest", {})
    used = {dep["path"]: dep.get("md5") for dep in stage.get("deps", [])}
    settings = method.embedding.settings
    packed_by = {**NEW_KEYS, **stage.get("params", {}).get("params.yaml", {})}
    wanted = {f"ingest.{name}": value for name, value in asdict(settings.ingest).items()}
    if used.get(layout.RAW.as_posix()) != f"{version.md5}.dir" or packed_by != {**packed_by, **wanted}:
        return None
    inputs, manifest = inputs_of(root, method.embedding), read_manifest(root)
    rows = {path: row for row, path in enumerate(manifest["path"])}
    there = [place for place, image in enumerate(images) if image.path in rows]
    order = np.array([rows[images[place].path] for place in there], dtype=np.int64)
    lost = pd.read_csv(root / layout.PACKED / "unreadable.csv", dtype=str, keep_default_na=False)
    reasons = dict(zip(lost["path"], lost["reason"], strict=True))
    missing = [image.path for image in images if image.path not in rows]
    progress.step(f"comparing {len(order):,} images")
    return Measured(
        images=[images[place] for place in there],
        files=[files[place] for place in there],
        sizes=manifest[["width", "height"]].to_numpy(dtype=np.int64)[order],
        points=embed(method, inputs, order),
        by="",
        embedded=True,
        unreadable=[(path, reasons.get(path, "it is not among the packed images")) for path in missing],
    )


def _grey_copies(pixels: NDArray[np.uint8]) -> Tensor:
    """The pixels (N, S, S, 1) of each image as a vector (N, S * S) with mean 0 and length 1, or 0 for a flat image."""
    flat = torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32))
    return torch.nn.functional.normalize(flat - flat.mean(1, keepdim=True), dim=1)
