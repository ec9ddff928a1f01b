"""Folders named train, val and test in a source: splits if their classes differ, else parts of the same classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kshot.data.splits import SPLITS, split_named
from kshot.errors import DataError


class Placed(NamedTuple):
    """How folders name splits.

    level   which part of a path names its split
    splits  class to split, empty if the folders name none
    note    a note for a person
    """

    level: int
    splits: Mapping[str, str]
    note: str

    def label(self, folder: Path) -> str:
        """The class of a folder: its path without the split's name."""
        parts = folder.parts
        if len(parts) > max(1, self.level) and split_named(parts[self.level]):
            parts = (*parts[: self.level], *parts[self.level + 1 :])
        return "/".join(parts)


MERGE = "put their images together with --merge"  # what else a person can do about classes that overlap in part


def without_split_folders(folders: Sequence[Path], *, merge: bool = False, remedy: str = MERGE) -> Placed | None:
    """Read these folders of images as classes, without a level named train, val, test; None if there is none.

    If each class is in one of them, that is its split. If train has all classes of the others, or with `merge`, the
    images of a class are put together and the splits are dropped: few-shot splits are by class. Raises DataError if
    some classes are in one of them and others in several (`remedy`: what to do, besides moving images), and if only
    some of the folders have such a level.
    """
    level = _level(folders)
    if level is None:
        return None
    members: dict[str, dict[str, str]] = {}  # class to its splits, each with its folder's own name
    named = Placed(level, {}, "")
    for folder in folders:
        name = folder.parts[level]
        members.setdefault(named.label(folder), {})[split_named(name)] = name
    present = {split for found in members.values() for split in found}
    names = sorted({name for found in members.values() for name in found.values()}, key=_order)
    subject = f"folders {', '.join(f'{name}/' for name in names)}"
    if len(present) == 1:
        return named._replace(note=f"{names[0]}/ is no part of the class names, and no other split's folder is there")
    shared = [label for label, found in members.items() if len(found) > 1]
    if not shared:
        splits = {label: next(iter(found)) for label, found in members.items()}
        counts = Counter(splits.values())
        counted = ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])
        return Placed(level, splits, f"{subject}: different classes, so their split is kept ({counted})")
    some = f"{len(shared)} of {len(members)} classes" if len(shared) < len(members) else "the same classes"
    if merge or all("train" in found for found in members.values()) or len(shared) == len(members):
        return named._replace(
            note=f"{subject}: {some} in several, so a class's images are put together (few-shot splits are by class)"
        )
    raise DataError(
        f"{subject}: {some}, such as {shared[0]!r}, lie in several and the others in one; needs each class in one "
        f"folder, or {remedy}"
    )


def _level(folders: Sequence[Path]) -> int | None:
    """Which part of all paths names a split, counted from the top; None if no level does."""
    if not folders:
        return None
    for level in range(min(len(folder.parts) for folder in folders)):
        named = [folder for folder in folders if split_named(folder.parts[level])]
        if len(named) == len(folders):
            ends = [folder for folder in folders if len(folder.parts) == level + 1]
            if ends and (level == 0 or len(ends) < len(folders)):
                raise DataError(
                    f"the folder {ends[0].as_posix()}/ is named like a split and holds images of no class; needs one "
                    "folder a class in it, or add only the folders that have classes"
                )
            return level
        splits = {split_named(folder.parts[level]) for folder in named if len(folder.parts) > level + 1}
        if "train" in splits and len(splits) > 1:
            other = next(folder for folder in folders if folder not in named)
            raise DataError(
                f"folders named like splits lie next to {other.parts[level]!r}; needs all classes in train/, val/, "
                "test/, or none: move it, or add it separately"
            )
    return None


def _order(name: str) -> int:
    return SPLITS.index(split_named(name))
