"""Adds a source as a data version and reports which images are new, known, or not in it."""

import shlex
from collections.abc import Callable
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.data.changes.add_version import AddOptions
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.settings_fit import split_moves
from kshot.lifecycle.source_files.shown_names import printable

Say = Callable[[str], None]


def add(root: Path, source: str, options: AddOptions, say: Say) -> DataVersion:
    """Add `source` as `add_version.add` does, and call `say` with lines for a person. Raises as it does."""
    before = data_versions.current(root)
    earlier = {one.md5 for one in data_versions.versions(root)}
    version = add_version.add(root, source, options, say)
    if before is not None and before.md5 == version.md5:
        say(f"data version {version.short}: these images are the current version already, nothing changed")
        return version
    images, classes = counted(version.images, "image"), counted(version.classes, "class")
    # The record keeps the source that it was first added from, which may not be the one just given.
    origin = ", first added from {}; current again" if version.md5 in earlier else " from {}"
    say(f"data version {version.short}: {images}, {classes}{origin.format(printable(version.source))}")
    if before is None:
        return version
    if options.extend:
        came, fresh = version.images - before.images, version.classes - before.classes
        say(
            f"{counted(before.images, 'image')} and {counted(before.classes, 'class')} were there "
            f"(data version {before.short}); {counted(came, 'image')} and {counted(fresh, 'class')} came"
        )
    for line in [*_left(root, before, version, source), *split_moves.split_moves(root, before.md5, version.md5)]:
        say(line)
    return version


def _left(root: Path, before: DataVersion, version: DataVersion, source: str) -> list[str]:
    """A line on the images that only the version before has; [] for none, and for a listing that DVC's cache lost."""
    try:
        found = data_versions.diff(root, before, version)
    except DataError:
        return []
    images, classes = len(found.images_removed), len(found.classes_removed)
    if not images:
        return []
    what = counted(images, "image") + (f" and {counted(classes, 'class')}" if classes else "")
    return [
        f"a source replaces the data whole: {what} of version {before.short} are not in it (`kshot data diff "
        f"{before.short} {version.short}` names them); to keep them: `kshot data restore {before.short}`, then "
        f"`kshot data add {shlex.quote(source)} --extend`"
    ]
