"""New images that drift is measured of: read, prepared as the champion was shown its own, and added to nothing."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.drift.measures import Shape
from kshot.errors import DataError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.drift.reference import Facts, look_at
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.tasks.source import adapted
from kshot.methods.method import Method

FEWEST = 10  # images; fewer say nothing
LOOKED_AT = 2000  # images of a source; of more, some are drawn


@dataclass(frozen=True)
class NewImages:
    """What was looked at of a source. labels (N,) in [0, C); `labelled` False: nobody said of which class they are,
    and all are 0. names of the classes; groups, how many, 0 where nobody said; images of the whole source; notes."""

    facts: Facts
    labels: NDArray[np.int64]
    labelled: bool
    names: tuple[str, ...]
    groups: int
    images: int
    notes: tuple[str, ...]

    def shape(self, images_a_class: int) -> Shape:
        """The layout of held-back samples like this one: unlabelled images count as whole classes of
        `images_a_class`, so that many of a few classes are no drift."""
        if self.labelled:
            return Shape(tuple(np.bincount(self.labels, minlength=len(self.names)).tolist()), self.groups)
        whole, rest = divmod(len(self.labels), images_a_class)
        return Shape((images_a_class,) * whole + (rest,) * (rest > 0))


def read_new(root: Path, source: str, method: Method) -> NewImages:
    """The images of a source as `kshot data add` takes it, or of a folder, archive or manifest without classes.

    Raises DataError for a source that cannot be read or has fewer than FEWEST images that can.
    """
    with tempfile.TemporaryDirectory(dir=private_state(root)) as name:
        scratch = Path(name)
        found = data_versions.read_images(source, scratch / "unpacked", unlabelled=True)
        every = found.images
        chosen, notes = _some(every)
        notes += left_out.summary(found.files, found.left_out)
        notes += adapted([image.file for image in chosen], method.embedding.settings.ingest.channels)
        facts = look_at([image.file for image in chosen], method, scratch)
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
