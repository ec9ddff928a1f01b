"""The images of a source, read, checked and laid out as the folder data/raw of a new data version."""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from kshot.data.splits import SPLITS
from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.data import erasures
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.classes import AS_IT_IS, Reading
from kshot.lifecycle.sources.source_argument import GLYPHS, check_given
from kshot.lifecycle.sources.source_image import SourceImage, normal
from kshot.lifecycle.sources.source_images import Source, read_source

PRESENT = "in the data already"  # how the reason begins for an image that an extension leaves out


def read_images(source: str, unpacked: Path, seed: int = 0, reading: Reading = AS_IT_IS) -> Source:
    """Read the images of a source as `add` does, unpacking and drawing into `unpacked`, without adding them."""
    check_given(source)
    if source == GLYPHS:
        from kshot.glyphs.draw import draw

        draw(unpacked, seed=seed)
        return read_source(unpacked, unpacked)
    return read_source(Path(source).expanduser(), unpacked, reading)


def folder_of(source: str, unpacked: Path) -> Path:
    """The folder that holds the images of a source: itself, where it was unpacked, or where its manifest lies."""
    place = Path(source).expanduser()
    if place.is_dir():
        return place
    return unpacked if unpacked.exists() else place.parent


def report_left_out(found: Source, source: str, skip: bool, say: Callable[[str], None], command: str) -> None:
    """Report what was left out. Raises DataError if nothing is left, or if a person has to agree first."""
    for line in found.lines():
        say(line)
    why = left_out.consent_needed(found.files, found.left_out, found.empty)
    if not found.images and not any(one.reason.startswith(PRESENT) for one in found.left_out):
        raise DataError(f"{source} holds no image that decodes: {why}")
    if why and not skip:
        raise DataError(f"{why}; mend that, or add only the others with `{command} --skip`")


def content_notes(root: Path, images: Sequence[SourceImage]) -> list[str]:
    """Lines on the content of the files that come into the data."""
    return [line for line in (copies_note(images), erased_note(root, images)) if line]


def copies_note(images: Sequence[SourceImage]) -> str:
    """A line on files of the same content in several classes, which stage validate refuses; '' if there are none.

    Only files of a size that another class has, too, are read.
    """
    by_size = _grouped(images, lambda image: image.file.stat().st_size)
    copies = [same for alike in by_size for same in _grouped(alike, lambda image: file_md5(image.file))]
    if not copies:
        return ""
    example = sorted(f"{printable(image.label)}/{printable(image.file.name)}" for image in copies[0])
    return (
        f"{counted(len(copies), 'image')} in several classes, such as {first_few(example, 2)}: kshot retrain will "
        "refuse this data; remove all but one of each"
    )


def erased_note(root: Path, images: Sequence[SourceImage]) -> str:
    """A line on images that `kshot forget` erased and that come back; '' if there are none."""
    erased = {md5: one for one in erasures.read(root) for md5 in one.images}
    back = [erased[md5] for image in images if (md5 := file_md5(image.file)) in erased] if erased else []
    if not back:
        return ""
    said = "; ".join(dict.fromkeys(map(str, back)))
    return (
        f"{counted(len(back), 'erased image')} in the data again ({said}): if that is wrong, `kshot forget` once more"
    )


def _grouped(images: Sequence[SourceImage], key: Callable[[SourceImage], object]) -> list[list[SourceImage]]:
    """The images of equal `key`, where they are of several classes."""
    groups: dict[object, list[SourceImage]] = {}
    for image in images:
        groups.setdefault(key(image), []).append(image)
    return [group for group in groups.values() if len({image.label for image in group}) > 1]


def require_training_classes(images: list[SourceImage], say: Callable[[str], None]) -> None:
    """Raise DataError for a split without a training class, and report other splits without a class."""
    present = {image.split for image in images}
    if present == {""}:
        return
    if "train" not in present:
        raise DataError("no class is in split train; needs at least one")
    absent = [name for name in SPLITS if name not in present]
    if absent:
        say(f"no class is in {' or '.join(absent)}: `kshot retrain` draws some from train's (split.val, split.test)")


def link(old: Path, new: Path) -> None:
    """Make `new` a hard link to the file `old`, or a copy where the disk has no links."""
    new.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        os.link(old, new)
        return
    shutil.copy2(old, new)


def lay_out(images: list[SourceImage], fresh: Path, *, own: Path, kept: Path | None = None) -> None:
    """Put the images into fresh/images/<class>/ and write fresh/manifest.csv, the same bytes for the same images.

    Files in the folder `own` are moved, those in the folder `kept` are linked, all others are copied. Of two images of
    one class and file name the first keeps the name.
    """
    rows, taken = [], set()
    for image in images:
        plain = PurePosixPath(normal(image.file.name))
        name, number = plain.name, 1
        while (target := f"images/{image.label}/{name}") in taken:
            number += 1
            name = f"{plain.stem}-{number}{plain.suffix}"
        taken.add(target)
        place = fresh / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if image.file.is_relative_to(own):
            image.file.rename(place)
        elif kept is not None and image.file.is_relative_to(kept):
            link(image.file, place)
        else:
            shutil.copyfile(image.file, place)
        rows.append((target, image.label, image.group, image.split, image.drawer))
    import pandas as pd  # here, because it takes half of the time of a command that reads only the ledger

    table = pd.DataFrame(sorted(rows), columns=["path", "class", "group", "split", "drawer"])
    if not (table["drawer"] != "").any():  # so that the versions of data without drawers do not change
        del table["drawer"]
    table.to_csv(fresh / "manifest.csv", index=False, lineterminator="\n")
