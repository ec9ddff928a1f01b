"""Determines the class and split of each image of a folder or archive from the folders above it."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kshot.data.folders.split_folders import Placed, without_split_folders
from kshot.data.splits import split_named
from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources.class_names import in_several_forms
from kshot.lifecycle.sources.source_image import normal

FOLD = re.compile(r"(?:k|cv)?[_-]?fold[_ -]?\d+", re.I)  # of a cross-validation


@dataclass(frozen=True)
class Classes:
    """The classes of a source.

    labels  the class of each image
    splits  class to split, if folders name one
    empty   classes without an image
    notes   notes for a person on how they were determined
    """

    labels: list[str]
    splits: dict[str, str]
    empty: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Reading:
    """How a person wants a source to be read.

    unlabelled   files in no folder, and a manifest without the column class, are images of class ''
    merge        the images of a class in several of train/, val/ and test/ are put together
    whole_names  the folders around a whole archive are a part of the class names
    there        the classes that the images come to
    """

    unlabelled: bool = False
    merge: bool = False
    whole_names: bool = False
    there: Collection[str] = ()


AS_IT_IS = Reading()


def classes_of(images: Sequence[Path], leaves: Sequence[Path], *, packed: bool, reading: Reading = AS_IT_IS) -> Classes:
    """The classes of images at these paths below a source; `leaves` are all its folders without subfolders.

    `packed`: the source is an archive, and folders around everything are not part of the class names, unless those of
    the classes that are `there` begin with them. Neither is a single folder inside each class folder that has the same
    name in all of them: n01443537/images.
    """
    below = _Below(images, leaves, [])
    if packed:
        below = _unwrapped(below, reading.there)
    below = _without_inner_folder(_without_folds(below))
    folders = sorted({path.parent for path in below.images if len(path.parts) > 1})
    placed = None
    if not reading.unlabelled or any(len(folder.parts) > 1 for folder in folders):
        placed = without_split_folders(folders, merge=reading.merge)
    name_of = placed.label if placed is not None else _whole_path
    labels = [normal(name_of(path.parent)) for path in below.images]
    empty = set() if reading.unlabelled else {normal(name_of(leaf)) for leaf in below.leaves} - {""}
    splits = {normal(name): split for name, split in placed.splits.items()} if placed is not None else {}
    names = {normal(name_of(folder)) for folder in folders}
    notes = [
        *below.notes,
        *_notes_on_levels(below, folders, placed, packed, reading),
        *_around_others(names - {""}),
        *_same_in_each_group(names),
        *in_several_forms(name_of(folder) for folder in folders),
    ]
    return Classes(labels, splits, sorted(empty - set(labels)), notes)


class _Below(NamedTuple):
    """Paths below a source without the folders that are no part of class names, and notes on these folders."""

    images: Sequence[Path]
    leaves: Sequence[Path]
    notes: list[str]

    def without_tops(self, tops: Collection[str], note: str) -> "_Below":
        """All images lie in the folders `tops`, which are taken away."""
        images = [Path(*path.parts[1:]) for path in self.images]
        leaves = [Path(*leaf.parts[1:]) if {*leaf.parts[:1]} & {*tops} else leaf for leaf in self.leaves]
        return _Below(images, leaves, [*self.notes, note])


def _unwrapped(below: _Below, there: Collection[str]) -> _Below:
    """Without the folders around everything in an archive; classes `there` keep theirs."""
    around = ""
    while top := _around_new(below.images, there):
        around += f"{top}/"
        note = f"the folder {printable(around)} around all others is no part of the class names"
        below = below._replace(notes=[]).without_tops([top], note)
    return below


def _without_folds(below: _Below) -> _Below:
    """Without the folders fold1, fold2, ... around all classes."""
    tops = {path.parts[0] for path in below.images}
    in_folds = all(len(path.parts) > 2 and FOLD.fullmatch(path.parts[0]) for path in below.images)
    if len(tops) < 2 or not in_folds:
        return below
    names = first_few([f"{printable(name)}/" for name in sorted(tops)])
    return below.without_tops(tops, f"{names} are folds, no part of the class names: a class's images are put together")


def _without_inner_folder(below: _Below) -> _Below:
    """Without the one folder inside each class folder, such as n01443537/images."""
    inner = _inside_each(below.images)
    if not inner:
        return below
    images = [path.parent.parent / path.name for path in below.images]
    leaves = [leaf.parent if leaf.name == inner else leaf for leaf in below.leaves]
    note = f"the folder {printable(inner)}/ in each class folder is no part of the class names"
    return _Below(images, leaves, [*below.notes, note])


def _whole_path(folder: Path) -> str:
    return "/".join(folder.parts)  # '' for no folder, where `as_posix` has a dot


def _notes_on_levels(
    below: _Below, folders: Sequence[Path], placed: Placed | None, packed: bool, reading: Reading
) -> list[str]:
    """Notes on the folders that name splits, and on one around all classes that is a part of their names."""
    notes = []
    if placed is not None:
        notes.append(placed.note)
    elif not reading.unlabelled:
        notes += _split_beside_others(folders)
    if not packed and (placed is None or placed.level > 0) and (top := _around_new(below.images, reading.there)):
        notes.append(f"all classes lie in {printable(top)}/, a part of their names; add that folder to leave it out")
    return notes


def _same_in_each_group(names: set[str]) -> list[str]:
    """A note on groups that all have classes of the same names, which may be parts of one class.

    Numbered names, such as character01 in each alphabet, are of different things.
    """
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        group, _, last = name.rpartition("/")
        groups[group].add(last)
    inner = sorted(next(iter(groups.values()), set()))
    numbered = len({re.sub(r"\d+", "", name) for name in inner}) < 2
    if len(groups) < 2 or numbered or any(one != set(inner) for one in groups.values()):
        return []
    one, other = (printable(f"{group}/{inner[0]}") for group in sorted(groups)[:2])
    return [
        f"each group has the same classes ({first_few([printable(name) for name in inner])}): {one} and {other} are "
        "two classes; if they are the same, or parts of a class, put the images of a class into one folder"
    ]


def _split_beside_others(folders: Sequence[Path]) -> list[str]:
    """A note on train/ with classes in it beside a folder that is named like no split, such as eval/."""
    tops = {folder.parts[0] for folder in folders if len(folder.parts) > 1}
    named = sorted(top for top in tops if split_named(top))
    if not named:
        return []
    other = min({folder.parts[0] for folder in folders} - set(named))
    return [
        f"{printable(named[0])}/ is named like a split, and {printable(other)}/ beside it is not: both are parts of "
        "the class names, and all may be trained on; for a split name the folders train/, val/ and test/"
    ]


def _around_others(names: set[str]) -> list[str]:
    """A note on classes whose folder has the folders of other classes in it."""
    inner = {folder.as_posix(): name for name in sorted(names, reverse=True) for folder in Path(name).parents}
    around = sorted(names & inner.keys())
    if not around:
        return []
    example = f"{printable(around[0])} and {printable(inner[around[0]])}"
    return [
        f"images lie next to class folders, and are a separate class: {example}"
        f"{f' ({len(around)} such classes)' if len(around) > 1 else ''}; if they are of no class, move them away"
    ]


def _wrapping(images: Sequence[Path]) -> str:
    """The one folder that contains all images, in subfolders only; '' if there is none."""
    tops = {path.parts[0] for path in images}
    return tops.pop() if len(tops) == 1 and all(len(path.parts) > 2 for path in images) else ""


def _around_new(images: Sequence[Path], there: Collection[str]) -> str:
    """As `_wrapping`, but '' for a folder with which names of the classes that are `there` begin."""
    top = _wrapping(images)
    return "" if any(name.startswith(f"{normal(top)}/") for name in there) else top


def _inside_each(images: Sequence[Path]) -> str:
    """The name of the single folder inside every class folder that contains its images; '' if there is none."""
    folders = {path.parent for path in images}
    names = {folder.name for folder in folders}
    if len(folders) < 2 or len(names) > 1 or any(len(folder.parts) < 2 for folder in folders):
        return ""
    name = names.pop()
    return "" if split_named(name) else name
