"""`kshot feedback add-data`: makes a data version of the current one and newly labelled images."""

import csv
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kshot.data.image_formats import read_header
from kshot.errors import DataError
from kshot.lifecycle.data import feedback_ledger
from kshot.lifecycle.data.changes import add_version, extension
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.feedback_ledger import FeedbackImage
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.sources.source_image import SourceImage, normal

SOURCE = "feedback"  # the source of such a data version
SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}


def add_labelled(
    root: Path,
    images: Sequence[tuple[FeedbackImage, bytes]],
    *,
    note: str = "",
    skip: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> DataVersion | None:
    """Add these images to the current data version, as a new one; None if it has them all already.

    An image that two persons, or data/raw and a person, say different classes of is left out, with a line to `say`. A
    new class goes to split train where the data has splits of its own. Raises DataError as `add_version.add`.
    """
    former = extension.current_images(root)
    fresh = _agreed(images, _known(former, {len(content) for _, content in images}), say)
    if not fresh:
        return None
    if not former and len(names := {normal(one.class_name) for one, _ in fresh}) == 1:
        raise DataError(
            f"there is no data version here, and the labelled images are of one class, {names.pop()!r}; label some of "
            "another class, or add images first: kshot data add FOLDER"
        )
    feedback_ledger.append(root, (one for one, _ in fresh))
    with tempfile.TemporaryDirectory(dir=private_state(root)) as workspace:
        source = Path(workspace) / f"{SOURCE}.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("path", "class"))
            writer.writerows((_written(source.parent, *image), normal(image[0].class_name)) for image in fresh)
        command = "kshot feedback add-data"
        options = add_version.AddOptions(note=note, skip=skip, extend=True, named=SOURCE, command=command)
        return add_version.add(root, str(source), options, say)


def _known(former: Sequence[SourceImage], sizes: set[int]) -> dict[str, str]:
    """The class of each image in data/raw by md5; only those of these sizes are read."""
    return {file_md5(image.file): image.label for image in former if image.file.stat().st_size in sizes}


def _agreed(
    images: Sequence[tuple[FeedbackImage, bytes]], known: dict[str, str], say: Callable[[str], None]
) -> list[tuple[FeedbackImage, bytes]]:
    """The images that data/raw lacks, once each, without those whose labels disagree."""
    names: dict[str, set[str]] = {md5: {name} for md5, name in known.items()}
    for one, _ in images:
        names.setdefault(one.md5, set()).add(normal(one.class_name))
    disputed = {md5: sorted(found) for md5, found in names.items() if len(found) > 1}
    for md5, found in disputed.items():
        items = ", ".join(str(one.item) for one, _ in images if one.md5 == md5)
        say(f"left out item {items}: the same image is said to be {' and '.join(found)}; give it one class")
    wanted = {one.md5: (one, content) for one, content in images if one.md5 not in known and one.md5 not in disputed}
    return list(wanted.values())


def _written(folder: Path, one: FeedbackImage, content: bytes) -> str:
    """The name of the file in `folder` that now holds the image. Raises DataError if it is not the one labelled."""
    if hashlib.md5(content).hexdigest() != one.md5:
        raise DataError(f"the image of item {one.item} is not the one that was labelled; nothing was added")
    kind = read_header(content).format
    name = f"{one.md5}{SUFFIX.get(kind, f'.{kind.lower()}')}"
    (folder / name).write_bytes(content)
    return name


def summary(images: Sequence[FeedbackImage]) -> str:
    """How many images came from how many requests, and who labelled them."""
    people = sorted({one.by for one in images})
    shown = ", ".join(f"{name} ({sum(one.by == name for one in images):,})" for name in people)
    requests = counted(len({one.request for one in images}), "request")
    return f"{counted(len(images), 'image')} from {requests} to the service, labelled by {shown}"
