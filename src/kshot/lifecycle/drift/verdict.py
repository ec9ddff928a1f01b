"""Compares new images with the champion's training images: the verdict, with its numbers."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kshot.drift.drift_limits import FALSE_ALARMS, Measure, judge
from kshot.drift.held_out_samples import Shape, held_out_samples
from kshot.drift.measures import APPEARANCE, SPACE, TASK, Sample, statistics, take
from kshot.errors import ParamsError, RegistryError
from kshot.lifecycle.drift.reference import Reference, read_reference
from kshot.lifecycle.drift.source import read_new
from kshot.lifecycle.project import progress
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.registry import model_versions
from kshot.methods.saving import METRIC

NAMES = (*APPEARANCE, *SPACE, *TASK)


class Range(NamedTuple):
    """A measure's values in its own unit: the median, and the ends of the middle 90 %; all three are equal for a
    share of all images."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One measure.

    reference  range of training images, or of held-out images where the model knows training images too well
    new        range of new images; both are None for a measure that is a distance between the two
    ignored    whether it has no effect on the verdict
    """

    measure: Measure
    reference: Range | None
    new: Range | None
    ignored: bool

    @property
    def drifted(self) -> bool:
        return self.measure.drifted and not self.ignored


@dataclass(frozen=True)
class Verdict:
    """The result of `kshot drift`.

    images            number of images in the source
    looked_at         how many of them were read
    classes           number of classes in the source, None without labels
    trained_classes   number of classes that the champion was trained on
    held_out_classes  number of held-out classes
    false_alarms      share of held-out samples beyond any limit
    notes             notes on how the source was read
    shown             PNGs of the version's own data and of the source
    """

    version: str
    data_version: str
    source: str
    when: str
    images: int
    looked_at: int
    classes: int | None
    trained_classes: int
    held_out_classes: int
    rows: tuple[Row, ...]
    false_alarms: float
    notes: tuple[str, ...]
    shown: tuple[tuple[bytes, ...], tuple[bytes, ...]]

    @property
    def drifted(self) -> tuple[Row, ...]:
        """The measures that drifted; empty: the images are like the training images."""
        return tuple(row for row in self.rows if row.drifted)


def drift(root: Path, source: str, *, ignore: Collection[str] = ()) -> Verdict:
    """Measure `source` against the champion's training images; changes nothing in the project.

    Raises RegistryError without a champion, DataError for a source that cannot be used or a data version that is gone,
    ParamsError for an unknown measure in `ignore`.
    """
    for name in ignore:
        if name not in NAMES:
            raise ParamsError(f"--ignore {name}: there is no such measure; needs one of {', '.join(NAMES)}")
    champion = model_versions.champion(root)
    if champion is None:
        raise RegistryError(
            "there is no champion yet whose training images could be compared with; `kshot retrain` makes one"
        )
    progress.step(f"what champion {champion.version} was trained on")
    reference = read_reference(root, champion)
    progress.step(f"looking through {source}")
    new = read_new(root, source, reference.method)
    sample, held_out = reference.sample(new.facts, new.labels), reference.held_out
    progress.step(f"comparing {len(new.labels):,} images")
    typical = max(1, round(float(np.median(np.bincount(held_out.labels)))))
    drawn = held_out_statistics(reference, new.shape(typical), labelled=new.labelled)
    measures = judge(statistics(sample, reference.trained, labelled=new.labelled), drawn)
    notes = [*new.notes]
    if not reference.method.has_fixed_embedding:
        name = (reference.method.embedding.settings.method or METRIC)["name"]
        notes.append(f"the champion is trained by {name}, which has no one space: only the images are compared")
    elif reference.threshold is None:
        notes.append("the champion has no threshold for unknown images, as after training on the validation classes")
    return Verdict(
        version=reference.version,
        data_version=reference.data_version,
        source=source,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        images=new.images,
        looked_at=len(new.labels),
        classes=len(new.names) if new.labelled else None,
        trained_classes=reference.classes[0],
        held_out_classes=reference.classes[1],
        rows=tuple(_row(measure, reference, held_out, sample, measure.name in ignore) for measure in measures),
        false_alarms=FALSE_ALARMS,
        notes=tuple(notes),
        shown=(reference.shown, new.facts.shown),
    )


def held_out_statistics(reference: Reference, shape: Shape, *, labelled: bool) -> list[dict[str, float]]:
    """The statistics of samples of held-out images in the shape of a new sample, which set the limits."""
    held_out = reference.held_out
    return [
        statistics(take(held_out, rows), reference.trained, labelled=labelled)
        for rows in held_out_samples(held_out.labels, reference.groups, shape, np.random.default_rng(0))
    ]


def to_json(found: Verdict) -> str:
    """The verdict as a JSON object."""
    content: dict[str, Any] = {
        **{key: value for key, value in vars(found).items() if key not in ("rows", "shown")},
        "drifted": bool(found.drifted),
        "measures": [_fields(row) for row in found.rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_json(found: Verdict, path: Path) -> None:
    """Write the same to a file, atomically."""
    write_text(path, to_json(found))


def _fields(row: Row) -> dict[str, Any]:
    both = {"reference": row.reference, "new": row.new}
    ranges = {name: one._asdict() if one is not None else None for name, one in both.items()}
    return {**row.measure._asdict(), **ranges, "ignored": row.ignored, "drifted": row.drifted}


def _row(measure: Measure, reference: Reference, old: Sample, new: Sample, ignored: bool) -> Row:
    """`old` are the version's held-out images."""
    name = measure.name
    if name in APPEARANCE:
        column = APPEARANCE.index(name)
        before, now = reference.trained.appearance_stats[:, column], new.appearance_stats[:, column]
        # A size is shown in pixels.
        both = (np.exp2(before), np.exp2(now)) if name == "size" else (before, now)
    elif name == "distance":
        assert old.distance is not None and new.distance is not None
        both = (old.distance, new.distance)
    elif name == "unknown":
        return Row(measure, Range(*[measure.median] * 3), Range(*[measure.statistic] * 3), ignored)
    else:
        return Row(measure, None, None, ignored)
    reference_range, new_range = (Range(*np.quantile(one, (0.5, 0.05, 0.95)).tolist()) for one in both)
    return Row(measure, reference_range, new_range, ignored)
