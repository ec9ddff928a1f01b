"""`kshot data add --extend`: joins the images of a source to the images of the current data version."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes.imported_images import PRESENT
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources.left_out import LeftOut
from kshot.lifecycle.sources.manifests import read_manifest
from kshot.lifecycle.sources.source_image import SourceImage, group_of
from kshot.lifecycle.sources.source_images import Source

TRAIN = "train"  # the split of a new class in data that has a split of its own


def current_images(root: Path) -> list[SourceImage]:
    """The images in data/raw, by class and path; empty if there is no version yet.

    Raises DataError if data/raw is missing, or is not the version that data/raw.dvc names.
    """
    now = working_copy.tracked(root)
    manifest = root / layout.RAW / "manifest.csv"
    if now is not None and not manifest.exists():
        raise DataError(f"{layout.RAW} is not here; bring it first: kshot data restore {now.md5[:8]}")
    working_copy.refuse_unsaved(root)
    return read_manifest(manifest)[0] if now is not None else []


def joined(former: Sequence[SourceImage], source: Source, folder: Path) -> Source:
    """The source without images that `former` has already, with the group and split of the classes that are there.

    Paths of the images left out are relative to `folder`. Raises DataError for a class that the source has in another
    split.
    """
    there = _classes_by_content(former, {image.file.stat().st_size for image in source.images})
    sizes = {file.stat().st_size for file, _ in there.values()}
    lost = [_left_out(image, folder, there) if image.file.stat().st_size in sizes else None for image in source.images]
    found = source.without(lost)
    known = {image.label: image for image in former}
    images = [_of_class(image, known[image.label]) if image.label in known else image for image in found.images]
    regrouped = {
        image.label for image in found.images if image.label in known and _names_other_group(image, known[image.label])
    }
    notes = [*found.notes]
    if regrouped:
        notes.append(f"the group of {first_few(sorted(map(printable, regrouped)), 3)} stays as it is in the data")
    return replace(found, images=images, empty=[name for name in found.empty if name not in known], notes=notes)


def in_splits(
    images: list[SourceImage], former: Sequence[SourceImage], say: Callable[[str], None]
) -> list[SourceImage]:
    """The images with a split for each class, or for none: new classes of data that has splits are trained on.

    Raises DataError where the new images bring a split to data that has none.
    """
    without = sorted({image.label for image in images if not image.split})
    if not without or not any(image.split for image in images):
        return images
    if not any(image.split for image in former):
        raise DataError(
            f"the source has a split of its own, and the data has none: class {without[0]!r} is in no split; needs one "
            "for each class, or none: add class folders that lie in no train/, val/ or test/, or name all classes in a "
            "table: --split FILE"
        )
    named = f"{counted(len(without), 'class')} without one ({first_few([printable(name) for name in without])})"
    say(f"the data has a split of its own, so that {named} joined {TRAIN}; for another split: --split FILE")
    return [image if image.split else replace(image, split=TRAIN) for image in images]


def _classes_by_content(former: Sequence[SourceImage], sizes: set[int]) -> dict[str, tuple[Path, set[str]]]:
    """A file, and the classes, of each content by its md5; only files of these sizes are read."""
    found: dict[str, tuple[Path, set[str]]] = {}
    for image in former:
        if image.file.stat().st_size in sizes:
            found.setdefault(file_md5(image.file), (image.file, set()))[1].add(image.label)
    return found


def _left_out(image: SourceImage, folder: Path, there: dict[str, tuple[Path, set[str]]]) -> LeftOut | None:
    """Why an image is not added: the data has it already, in its class or in another."""
    _, classes = there.get(file_md5(image.file), (None, set()))
    if not classes:
        return None
    path = image.file.relative_to(folder) if image.file.is_relative_to(folder) else image.file
    if image.label in classes:
        return LeftOut(path, PRESENT, counts=False)
    return LeftOut(path, f"{PRESENT}, in another class", f"in {printable(min(classes))}")


def _of_class(image: SourceImage, same: SourceImage) -> SourceImage:
    if image.split and image.split != same.split:
        place = f"in split {same.split} of the data" if same.split else "in no split of the data"
        raise DataError(f"class {image.label!r} is {place} and in {image.split} of the source; needs one split a class")
    return replace(image, group=same.group, split=same.split)


def _names_other_group(image: SourceImage, same: SourceImage) -> bool:
    """Whether a manifest names another group for the class than the data does."""
    return image.group not in (same.group, group_of(image.label))
