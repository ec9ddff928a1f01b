"""Imports images as a new data version."""

import contextlib
import hashlib
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes import extension, imported_images, restore
from kshot.lifecycle.data.data_versions import DataVersion, current, enter, versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.at_rest import at_rest
from kshot.lifecycle.sources.classes import of_one_name
from kshot.lifecycle.sources.manifests import with_split
from kshot.lifecycle.sources.source_argument import GLYPHS, check_argument
from kshot.lifecycle.sources.source_images import decoded

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
    before, there = current(root) if former else None, {image.label for image in former}
    with working_copy.workspace(root) as workspace:
        fresh = workspace / "raw"
        with at_rest(Path(source).expanduser()) if source != GLYPHS else contextlib.nullcontext():
            found = imported_images.read_images(source, workspace / "unpacked", seed, merge=merge, there=there)
            place = imported_images.folder_of(source, workspace / "unpacked")
            if source != GLYPHS:
                found = decoded(found, place)
            if former:
                found = extension.joined(former, found, place)
            if source != GLYPHS or former:
                again = command or f"kshot data add {shlex.quote(source)}{' --extend' if extend else ''}"
                imported_images.report_left_out(found, source, skip, say, again)
            if before is not None and not found.images and split is None:
                return before
            images = [*former, *found.images]
            if split is not None:
                images = with_split(images, split, found.empty, optional=there)
            images = extension.in_splits(images, former, say)
            names = {image.label for image in images}
            for line in of_one_name(names, there) if source != GLYPHS else []:
                say(line)
            if len(names) < FEWEST_CLASSES:
                raise DataError(
                    f"{source} has one class, {min(names)!r}; few-shot episodes need at least {FEWEST_CLASSES} to tell "
                    "apart, and training, validation and test each their own: give one folder a class"
                )
            imported_images.require_training_classes(images, say)
            imported_images.lay_out(images, fresh, own=workspace, kept=root / layout.RAW if former else None)
        with working_copy.replacing(root):
            fresh.rename(root / layout.RAW)
            # Images that were there are linked: DVC would copy every one of them out of its cache again.
            working_copy.dvc(root, "add", *(["--no-relink"] if former else []), str(layout.RAW))
            out = working_copy.tracked(root)
            assert out is not None
            if out.files != len(images) + 1:  # plus the manifest
                raise DataError(
                    f"DVC tracks {out.files} of {len(images) + 1} files; needs all: rename the classes "
                    "that a line of .dvcignore matches, or change that line"
                )
            if out.md5 in known:
                return known[out.md5]
            version = DataVersion(
                md5=out.md5,
                added=datetime.now(UTC).isoformat(timespec="seconds"),
                images=len(images),
                classes=len({image.label for image in images}),
                files=out.files,
                size=out.size,
                source=named or (source if source == GLYPHS else Path(source).name),
                note=note,
                left_out=left_out.reasons(found.left_out, found.empty),
                address="" if named or source == GLYPHS else _address(source),
                base=base or (before.md5 if before is not None else ""),
            )
            enter(root, version)
    return version


def _address(source: str) -> str:
    """A short hash of the source's path, which distinguishes sources of one name.

    The ledger is in git, so that the path itself, which may name a person or a customer, stays out of it.
    """
    return hashlib.sha256(str(Path(source).expanduser().resolve()).encode(errors="replace")).hexdigest()[:16]
