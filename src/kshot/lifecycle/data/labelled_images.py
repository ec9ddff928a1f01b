"""Adds labelled images to the current data version, as a new one: what `kshot feedback add-data` does."""

import csv
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kshot.data.image_formats import read_header
from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, feedback_ledger
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.feedback_ledger import FeedbackImage
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.sources.source_image import normal

SOURCE = "feedback"  # the source of such a data version
COLUMNS = ("path", "class", "group", "split", "drawer")
TRAIN = "train"
SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}
Row = dict[str, str]


def add_labelled(
    root: Path,
    images: Sequence[tuple[FeedbackImage, bytes]],
    *,
    note: str = "",
    skip: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> DataVersion | None:
    """Make a data version of the current one and these images; None if it has them all already.

    An image that two persons, or data/raw and a person, say different classes of is left out, with a line to `say`. A
    new class goes to split train where the data has splits of its own. Raises DataError as `data_versions.add`.
    """
    rows = _current_rows(root)
    fresh = _agreed(images, _known(root, rows, {len(content) for _, content in images}), say)
    if not fresh:
        return None
    feedback_ledger.append(root, (one for one, _ in fresh))
    with tempfile.TemporaryDirectory(dir=private_state(root)) as workspace:
        folder = Path(workspace)
        rows += [_row(folder, one, content, rows) for one, content in fresh]
        source = folder / f"{SOURCE}.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        here = data_versions.current(root)
        base = here.md5 if here is not None else ""
        return data_versions.add(root, str(source), note=note, skip=skip, say=say, named=SOURCE, base=base)


def _current_rows(root: Path) -> list[Row]:
    """The manifest of the current data version, with whole paths; empty if there is no version yet."""
    here = data_versions.current(root)
    if here is None:
        return []
    raw = root / layout.RAW
    manifest = raw / "manifest.csv"
    if not manifest.exists():
        raise DataError(f"{layout.RAW} is not here; bring it first: kshot data restore {here.short}")
    with manifest.open(encoding="utf-8", newline="") as file:
        return [
            {name: row.get(name) or "" for name in COLUMNS} | {"path": str((raw / row["path"]).resolve())}
            for row in csv.DictReader(file)
        ]


def _known(root: Path, rows: Sequence[Row], sizes: set[int]) -> dict[str, str]:
    """The class of each image in data/raw by md5; only those of these sizes are read."""
    files = [(Path(row["path"]), row["class"]) for row in rows]
    return {file_md5(file): name for file, name in files if file.stat().st_size in sizes}


def _agreed(
    images: Sequence[tuple[FeedbackImage, bytes]], known: dict[str, str], say: Callable[[str], None]
) -> list[tuple[FeedbackImage, bytes]]:
    """Those images that data/raw lacks, once each, and about whose class nobody disagrees."""
    names: dict[str, set[str]] = {md5: {name} for md5, name in known.items()}
    for one, _ in images:
        names.setdefault(one.md5, set()).add(normal(one.class_name))
    disputed = {md5: sorted(found) for md5, found in names.items() if len(found) > 1}
    for md5, found in disputed.items():
        items = ", ".join(str(one.item) for one, _ in images if one.md5 == md5)
        say(f"left out item {items}: the same image is said to be {' and '.join(found)}; give it one class")
    wanted = {one.md5: (one, content) for one, content in images if one.md5 not in known and one.md5 not in disputed}
    return list(wanted.values())


def _row(folder: Path, one: FeedbackImage, content: bytes, rows: Sequence[Row]) -> Row:
    if hashlib.md5(content).hexdigest() != one.md5:
        raise DataError(f"the image of item {one.item} is not the one that was labelled; nothing was added")
    kind = read_header(content).format
    file = folder / f"{one.md5}{SUFFIX.get(kind, f'.{kind.lower()}')}"
    file.write_bytes(content)
    name = normal(one.class_name)
    same = next((row for row in rows if row["class"] == name), None)
    has_splits = any(row["split"] for row in rows)
    group, split = (same["group"], same["split"]) if same else ("", TRAIN if has_splits else "")
    return {"path": str(file.resolve()), "class": name, "group": group, "split": split, "drawer": ""}


def summary(images: Sequence[FeedbackImage]) -> str:
    """How many images came from how many requests, and who labelled them."""
    people = sorted({one.by for one in images})
    shown = ", ".join(f"{name} ({sum(one.by == name for one in images):,})" for name in people)
    requests = counted(len({one.request for one in images}), "request")
    return f"{counted(len(images), 'image')} from {requests} to the service, labelled by {shown}"
