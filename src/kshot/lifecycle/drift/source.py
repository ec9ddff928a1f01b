"""Reads new images to measure their drift, prepared like the champion's own, without adding them to the project."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.drift.held_out_samples import Shape
from kshot.errors import DataError
from kshot.lifecycle.data.changes import imported_images
from kshot.lifecycle.drift.measured_images import MeasuredImages, measure_images
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.tasks.source import adapted
from kshot.methods.method import Method

FEWEST = 10  # images; fewer are too few to judge
LOOKED_AT = 2000  # images of a source; from a larger one a random sample is drawn


@dataclass(frozen=True)
class NewImages:
    """The images read from a source.

    labels    (N,) in [0, C); all 0 if `labelled` is False
    labelled  whether the source has classes
    names     the classes
    groups    number of groups, 0 if the source has none
    images    number of images in the whole source
    notes     notes on how the source was read
    """

    facts: MeasuredImages
    labels: NDArray[np.int64]
    labelled: bool
    names: tuple[str, ...]
    groups: int
    images: int
    notes: tuple[str, ...]

    def shape(self, images_a_class: int) -> Shape:
        """The layout of held-out samples like this one: unlabelled images count as complete classes of
        `images_a_class`, so that many images of a few classes are not drift."""
        if self.labelled:
            return Shape(tuple(np.bincount(self.labels, minlength=len(self.names)).tolist()), self.groups)
        whole, rest = divmod(len(self.labels), images_a_class)
        return Shape((images_a_class,) * whole + (rest,) * (rest > 0))


def read_new(root: Path, source: str, method: Method) -> NewImages:
    """The images of a source that `kshot data add` accepts, or of a folder, archive or manifest without classes.

    Raises DataError for a source that cannot be read or has fewer than FEWEST readable images.
    """
    with tempfile.TemporaryDirectory(dir=private_state(root)) as name:
        scratch = Path(name)
        found = imported_images.read_images(source, scratch / "unpacked", reading=Reading(unlabelled=True))
        every = found.images
        chosen, notes = _some(every)
        notes += left_out.summary(found.files, found.left_out)
        notes += adapted([image.file for image in chosen], method.embedding.settings.ingest.channels)
        facts = measure_images([image.file for image in chosen], method, scratch, root)
    if facts.lost:
        first = facts.lost[0]
        notes.append(f"{len(facts.lost)} of {len(chosen)} files cannot be read, such as {first.path}: {first.reason}")
    kept = [chosen[row] for row in facts.read]
    if len(kept) < FEWEST:
        raise DataError(
            f"{source} has {len(kept)} images that can be read; needs at least {FEWEST} to be compared with what the "
            "champion was trained on: add more"
        )
    names = sorted({image.label for image in kept})
    labels = np.array([names.index(image.label) for image in kept], dtype=np.int64)
    groups = {image.group for image in kept}
    return NewImages(
        facts=facts,
        labels=labels,
        labelled=names != [""],
        names=tuple(names),
        groups=len(groups) if "" not in groups else 0,
        images=len(every),
        notes=tuple(notes),
    )


def _some(every: list[SourceImage]) -> tuple[list[SourceImage], list[str]]:
    if len(every) <= LOOKED_AT:
        return every, []
    rows = np.sort(np.random.default_rng(0).permutation(len(every))[:LOOKED_AT])
    return [every[row] for row in rows], [f"{LOOKED_AT:,} of the {len(every):,} images were looked at, drawn at random"]
