"""Imports images as a new data version."""

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes import extension, imported_images, restore
from kshot.lifecycle.data.data_versions import DataVersion, current, enter, versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.source_files.shown_names import quoted
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.at_rest import at_rest
from kshot.lifecycle.sources.class_names import notes_on_names
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.labels_elsewhere import labels_elsewhere
from kshot.lifecycle.sources.source_argument import GLYPHS, check_argument
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.sources.source_images import Source, decoded
from kshot.lifecycle.sources.split_tables import with_split

FEWEST_CLASSES = 2


@dataclass(frozen=True)
class AddOptions:
    """How a source becomes a data version.

    split    a CSV of class,split; with `extend` it may leave out classes that are there
    note     what a person wrote about the version
    seed     of the drawings, for the source "glyphs"
    skip     agree to leaving files out
    merge    put together the images of a class from train/ and test/ (`split_folders`)
    extend   keep the images of the current version, which is then the new one's base (`extension`)
    named    the source's name in the record, where kshot wrote the source itself; "": that of its file or folder
    base     md5 of the version whose images the source has, too
    command  what was typed, for the remedy that repeats it; "": kshot data add SOURCE
    """

    split: Path | None = None
    note: str = ""
    seed: int = 0
    skip: bool = False
    merge: bool = False
    extend: bool = False
    named: str = ""
    base: str = ""
    command: str = ""


def add(
    root: Path, source: str, options: AddOptions = AddOptions(), say: Callable[[str], None] = lambda line: None
) -> DataVersion:
    """Import `source` into data/raw as the current version; the same images always give the same version.

    source  a folder, an archive, a manifest, or "glyphs", which are drawn
    say     called with lines about what was read and what was left out

    Raises DataError for a source that cannot be used and, without `skip`, if more than a tenth of its files or a whole
    class is left out; data/raw and data/raw.dvc are then unchanged.
    """
    check_argument(root, source)
    (root / layout.RAW.parent).mkdir(parents=True, exist_ok=True)
    working_copy.mend(root)
    known = {version.md5: version for version in versions(root)}
    restore.refuse_unsaved(root)
    former = extension.current_images(root) if options.extend else []
    before = current(root) if former else None
    with working_copy.workspace(root) as workspace:
        with contextlib.nullcontext() if source == GLYPHS else at_rest(Path(source).expanduser()):
            found = _read(source, workspace / "unpacked", options, former, say)
            if before is not None and not found.images and options.split is None:
                return before
            images = _all_images(former, found, options.split, say)
            _check_class_names(source, workspace / "unpacked", {image.label for image in images}, former, say)
            imported_images.require_training_classes(images, say)
            for line in () if source == GLYPHS else imported_images.content_notes(root, found.images):
                say(line)
            kept = root / layout.RAW if former else None
            imported_images.lay_out(images, workspace / "raw", own=workspace, kept=kept)
        with working_copy.replacing(root):
            (workspace / "raw").rename(root / layout.RAW)
            out = _track(root, len(images) + 1, linked=bool(former))  # plus the manifest
            if out.md5 in known:
                return known[out.md5]
            version = _version(source, options, found, images, out, before)
            enter(root, version)
    return version


def _version(
    source: str,
    options: AddOptions,
    found: Source,
    images: Sequence[SourceImage],
    out: working_copy.Tracked,
    before: DataVersion | None,
) -> DataVersion:
    """The record of a new version with these images: `found` came from the source, the rest from `before`."""
    drawn = source == GLYPHS
    return DataVersion(
        md5=out.md5,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        images=len(images),
        classes=len({image.label for image in images}),
        files=out.files,
        size=out.size,
        source=options.named or (source if drawn else Path(source).name),
        note=options.note,
        left_out=left_out.reasons(found.left_out, found.empty),
        address="" if options.named or drawn else _address(source),
        base=options.base or (before.md5 if before is not None else ""),
    )


def _read(
    source: str, unpacked: Path, options: AddOptions, former: Sequence[SourceImage], say: Callable[[str], None]
) -> Source:
    """The images of the source that decode and are not in `former`. Reports what is left out; raises as `add`."""
    there = {image.label for image in former}
    found = imported_images.read_images(source, unpacked, options.seed, Reading(merge=options.merge, there=there))
    if source == GLYPHS and not former:
        return found
    place = imported_images.folder_of(source, unpacked)
    found = found if source == GLYPHS else decoded(found, place)
    found = extension.joined(former, found, place) if former else found
    again = options.command or f"kshot data add {shlex.quote(source)}{' --extend' if options.extend else ''}"
    imported_images.report_left_out(found, source, options.skip, say, again)
    return found


def _all_images(
    former: Sequence[SourceImage], found: Source, split: Path | None, say: Callable[[str], None]
) -> list[SourceImage]:
    """The images of the new version, each in the split that the table `split` or the data names."""
    images = [*former, *found.images]
    if split is not None:
        images = with_split(images, split, found.empty, optional={image.label for image in former})
    return extension.in_splits(images, former, say)


def _check_class_names(
    source: str, unpacked: Path, names: set[str], former: Sequence[SourceImage], say: Callable[[str], None]
) -> None:
    """Report names that are hard to tell apart or to store. Raises DataError for a single class."""
    if source != GLYPHS:
        for line in notes_on_names(names, {image.label for image in former}):
            say(line)
    if len(names) < FEWEST_CLASSES:
        packed = unpacked.exists()
        place = unpacked if packed else Path(source).expanduser()
        with labels_elsewhere(place, packed=packed):  # does nothing for a table, which names its classes itself
            raise DataError(
                f"{source} has one class, {quoted(min(names))}; few-shot episodes need at least {FEWEST_CLASSES} to "
                "tell apart, and training, validation and test each their own: give one folder a class"
            )


def _track(root: Path, files: int, *, linked: bool) -> working_copy.Tracked:
    """Give data/raw to DVC. Raises DataError unless it tracks that many files.

    `linked`: images that were there are linked already; DVC would copy every one of them out of its cache again.
    """
    working_copy.dvc(root, "add", *(["--no-relink"] if linked else []), str(layout.RAW))
    out = working_copy.tracked(root)
    assert out is not None
    if out.files != files:
        raise DataError(
            f"DVC tracks {out.files} of {files} files; needs all: rename the classes "
            "that a line of .dvcignore matches, or change that line"
        )
    return out


def _address(source: str) -> str:
    """A short hash of the source's path, which distinguishes sources of one name.

    The ledger is in git, so that the path itself, which may name a person or a customer, stays out of it.
    """
    return hashlib.sha256(str(Path(source).expanduser().resolve()).encode(errors="replace")).hexdigest()[:16]
