"""Imports images as a new data version."""

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes import extension, imported_images, restore
from kshot.lifecycle.data.data_versions import DataVersion, current, enter, versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.at_rest import at_rest
from kshot.lifecycle.sources.class_names import notes_on_names
from kshot.lifecycle.sources.labels_elsewhere import labels_elsewhere
from kshot.lifecycle.sources.manifests import with_split
from kshot.lifecycle.sources.shown_names import quoted
from kshot.lifecycle.sources.source_argument import GLYPHS, check_argument
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.sources.source_images import Source, decoded

FEWEST_CLASSES = 2


def add(
    root: Path,
    source: str,
    *,
    split: Path | None = None,
    note: str = "",
    seed: int = 0,
    skip: bool = False,
    merge: bool = False,
    extend: bool = False,
    say: Callable[[str], None] = lambda line: None,
    named: str = "",
    base: str = "",
    command: str = "",
) -> DataVersion:
    """Import `source` into data/raw as the current version; the same images always give the same version.

    source  a folder, an archive, a manifest, or "glyphs", which are drawn from `seed`
    split   a CSV of class,split; with `extend` it may leave out classes that are there
    skip    agree to leaving files out
    merge   put together the images of a class from train/ and test/ (`split_folders`)
    extend  keep the images of the current version, which is then the new one's base (`extension`)
    say     called with lines about what was read and what was left out
    named   the source's name in the record, where kshot wrote the source itself; default: that of its file or folder
    base    md5 of the version whose images `source` has, too
    command what was typed, for the remedy that repeats it; default: kshot data add SOURCE

    Raises DataError for a source that cannot be used and, without `skip`, if more than a tenth of its files or a whole
    class is left out; data/raw and data/raw.dvc are then unchanged.
    """
    check_argument(root, source)
    (root / layout.RAW.parent).mkdir(parents=True, exist_ok=True)
    working_copy.mend(root)
    known = {version.md5: version for version in versions(root)}
    restore.refuse_unsaved(root)
    former = extension.current_images(root) if extend else []
    before = current(root) if former else None
    drawn = source == GLYPHS
    with working_copy.workspace(root) as workspace:
        fresh = workspace / "raw"
        with contextlib.nullcontext() if drawn else at_rest(Path(source).expanduser()):
            found = _read(source, workspace / "unpacked", seed, merge, former)
            if former or not drawn:
                again = command or f"kshot data add {shlex.quote(source)}{' --extend' if extend else ''}"
                imported_images.report_left_out(found, source, skip, say, again)
            if before is not None and not found.images and split is None:
                return before
            images = _all_images(former, found, split, say)
            _check_class_names(source, {image.label for image in images}, former, say)
            imported_images.require_training_classes(images, say)
            imported_images.lay_out(images, fresh, own=workspace, kept=root / layout.RAW if former else None)
        with working_copy.replacing(root):
            fresh.rename(root / layout.RAW)
            out = _track(root, len(images) + 1, linked=bool(former))  # plus the manifest
            if out.md5 in known:
                return known[out.md5]
            version = DataVersion(
                md5=out.md5,
                added=datetime.now(UTC).isoformat(timespec="seconds"),
                images=len(images),
                classes=len({image.label for image in images}),
                files=out.files,
                size=out.size,
                source=named or (source if drawn else Path(source).name),
                note=note,
                left_out=left_out.reasons(found.left_out, found.empty),
                address="" if named or drawn else _address(source),
                base=base or (before.md5 if before is not None else ""),
            )
            enter(root, version)
    return version


def _read(source: str, unpacked: Path, seed: int, merge: bool, former: Sequence[SourceImage]) -> Source:
    """The images of the source that decode, without those of `former`."""
    there = {image.label for image in former}
    found = imported_images.read_images(source, unpacked, seed, merge=merge, there=there)
    place = imported_images.folder_of(source, unpacked)
    if source != GLYPHS:
        found = decoded(found, place)
    return extension.joined(former, found, place) if former else found


def _all_images(
    former: Sequence[SourceImage], found: Source, split: Path | None, say: Callable[[str], None]
) -> list[SourceImage]:
    """The images of the new version, each in the split that the table `split` or the data names."""
    images = [*former, *found.images]
    if split is not None:
        images = with_split(images, split, found.empty, optional={image.label for image in former})
    return extension.in_splits(images, former, say)


def _check_class_names(source: str, names: set[str], former: Sequence[SourceImage], say: Callable[[str], None]) -> None:
    """Report names that are hard to tell apart or to store. Raises DataError for a single class."""
    if source != GLYPHS:
        for line in notes_on_names(names, {image.label for image in former}):
            say(line)
    if len(names) < FEWEST_CLASSES:
        place = Path(source).expanduser()
        with labels_elsewhere(place):  # does nothing for a table, which names its classes itself
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
