"""Tables next to the pages: every image of a version, and every difference of two versions."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from kshot.evaluation.near_images import Duplicate, Neighbours, WrongLabel
from kshot.lifecycle.data_pages.measured import Measured
from kshot.lifecycle.project.files import write_text

IMAGES = (
    *("path", "class", "group", "split", "width", "height", "md5"),
    *("nearest", "nearest_class", "distance", "near_duplicate", "suspected_class"),
)


def write_images(
    path: Path,
    found: Measured,
    near: Neighbours | None,
    duplicates: Sequence[Duplicate],
    wrong: Sequence[WrongLabel],
    names: Sequence[str],
) -> Path:
    """Write one row per image that can be read, with its nearest image and what is suspected of it."""
    doubled = {row for one in duplicates for row in (one.first, one.second)}
    suspected = {one.image: names[one.suspected] for one in wrong}
    rows = []
    for row, image in enumerate(found.images):
        width, height = found.sizes[row].tolist()
        nearest = found.images[int(near.ids[row, 0])] if near is not None else None
        distance = f"{near.distances[row, 0]:.6g}" if near is not None else ""
        rows.append(
            (
                *(image.path, image.label, image.group, image.split, width, height, image.md5),
                *((nearest.path, nearest.label) if nearest is not None else ("", "")),
                *(distance, "yes" if row in doubled else "", suspected.get(row, "")),
            )
        )
    return write_table(path, IMAGES, rows)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV atomically and return its path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
    return path
