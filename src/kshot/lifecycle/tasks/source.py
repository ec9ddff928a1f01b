"""Reads a source of images as tasks, prepared like the model's own images, without adding them to the project."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kshot.data.images import Packed, pack
from kshot.errors import DataError
from kshot.lifecycle.data.changes import imported_images
from kshot.lifecycle.project import progress
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.tasks.task_model import narrowed
from kshot.methods.method import Method
from kshot.nets.embedding import embed
from kshot.tasks.embedding import Task

GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")


@dataclass(frozen=True)
class SourceTasks:
    """Tasks by name, and notes for a person on how they were read."""

    tasks: dict[str, Task]
    notes: tuple[str, ...]


def read_tasks(root: Path, source: str, method: Method) -> SourceTasks:
    """The tasks of a source that `kshot data add` accepts: one per group with at least two classes, else the whole.

    Raises DataError for a source that cannot be read, has one class, or has a class without a readable image.
    """
    with tempfile.TemporaryDirectory(dir=private_state(root)) as name:
        scratch = Path(name)
        found = imported_images.read_images(source, scratch / "unpacked")
        if found.empty:
            raise DataError(
                f"class {found.empty[0]!r} has no image that can be read; needs one at least: mend it, or remove it"
            )
        images = found.images
        labels = sorted({image.label for image in images})
        if len(labels) < 2:
            raise DataError(f"{source} has one class, {labels[0]!r}; a task needs at least 2: one folder a class")
        ingest = method.embedding.settings.ingest
        files = [image.file for image in images]
        notes = left_out.summary(found.files, found.left_out) + adapted(files, ingest.channels)
        records = list(progress.counted(pack(files, scratch / "images.npy", ingest), len(files), "reading images"))
        usable = [image for image, record in zip(images, records, strict=True) if isinstance(record, Packed)]
        lost = [record for record in records if not isinstance(record, Packed)]
        if lost:
            notes.append(f"{len(lost)} of {len(files)} files cannot be read, such as {lost[0].path}: {lost[0].reason}")
        missing = sorted(set(labels) - {image.label for image in usable})
        if missing:
            raise DataError(
                f"class {missing[0]!r} has no image that can be read; needs one at least: mend it, or leave it out"
            )
        pixels = np.load(scratch / "images.npy", mmap_mode="r")
        points = narrowed(embed(method, pixels, np.arange(len(pixels))))
    tasks, single = {}, []
    for task, rows in _grouped(usable, Path(source).name or source).items():
        names = sorted({usable[row].label for row in rows})
        if len(names) < 2:
            single.append(task)
        else:
            tasks[task] = Task(points[rows], torch.tensor([names.index(usable[row].label) for row in rows]))
    if single:
        notes.append(f"{len(single)} groups of one class are left out, such as {single[0]!r}")
    return SourceTasks(tasks, tuple(notes))


def _grouped(images: Sequence[SourceImage], whole: str) -> dict[str, list[int]]:
    """By task, the positions of its images; groups are used only if one of them has two classes."""
    members: dict[str, set[str]] = {}
    for image in images:
        members.setdefault(image.group, set()).add(image.label)
    if len(members) == 1 or all(len(labels) < 2 for labels in members.values()):
        return {whole: list(range(len(images)))}
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image.group or "(no group)", []).append(row)
    return rows


def adapted(files: Sequence[Path], channels: int) -> list[str]:
    """A note if most images are in colour and the model takes grey ones, or vice versa."""
    grey = 0
    for file in files:
        try:
            with Image.open(file) as image:
                grey += image.mode in GREY_MODES
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # reported when it is decoded
            continue
    colour = len(files) - grey
    if channels == 1 and colour > grey:
        return [f"{colour} of {len(files)} images are in colour; the model takes grey ones, so they were turned grey"]
    if channels == 3 and grey > colour:
        return [f"{grey} of {len(files)} images are grey; the model takes colour, so each was repeated for RGB"]
    return []
