"""In which split the classes of a new data version are, by the settings of today, and which changed theirs."""

from collections.abc import Mapping
from pathlib import Path

from kshot.data.splits import SPLITS, choose_by, split_classes
from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.data import cached_images
from kshot.lifecycle.data.cached_images import CachedClass
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.settings_fit.proposal import split_of
from kshot.lifecycle.source_files.shown_names import printable
from kshot.params.sections.split import Split


def split_moves(root: Path, before: str, version: str) -> list[str]:
    """Lines about the new classes of data version `version`, and those of `before` that are in another split now.

    Empty where the settings give these classes no split, and where DVC's cache has lost a version.
    """
    settings = split_of(root)
    if settings is None:
        return []
    try:
        return moves(*(_places(settings, cached_images.classes(root, md5)) for md5 in (before, version)))
    except DataError:
        return []


def moves(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Lines about the classes that only `after` has, and those with another split than in `before`."""
    fresh = {split: sorted(n for n in after if n not in before and after[n] == split) for split in SPLITS}
    joined = [f"{split} ({first_few(list(map(printable, names)))})" for split, names in fresh.items() if names]
    lines = []
    if joined:
        count = sum(map(len, fresh.values()))
        lines.append(f"{counted(count, 'new class')}: in {', in '.join(joined)}")
    moved = sorted(name for name in after if before.get(name, after[name]) != after[name])
    if moved:
        shown = first_few([f"{printable(name)} ({before[name]} -> {after[name]})" for name in moved])
        verb = "is" if len(moved) == 1 else "are"
        lines.append(
            f"{counted(len(moved), 'class')} that {'was' if len(moved) == 1 else 'were'} there {verb} in another split "
            f"now: {shown}; with split.assign: hash (kshot fit-settings) a class keeps its split"
        )
    tested, tests = ({name for name, split in place.items() if split == "test"} for place in (before, after))
    if tested != tests:
        lines.append(
            "the test classes change, so the test episodes are drawn again, and a champion is measured on them"
        )
    return lines


def _places(settings: Split, classes: Mapping[str, CachedClass]) -> dict[str, str]:
    groups = {name: one.group for name, one in classes.items()}
    table = {name: one.split for name, one in classes.items()}
    by = choose_by(settings.by, groups, table)
    return split_classes(
        groups, table, by=by, val=settings.val, test=settings.test, seed=settings.seed, assign=settings.assign
    )
