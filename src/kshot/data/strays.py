"""Finds images below a folder that are no member of a class: masks of other images, and images beside class folders."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from kshot.data.splits import split_named

MASK = "a mask, which labels the pixels of another image"
BESIDE = "beside class folders, so in no class"
MOST_BESIDE = 2  # images beside class folders that are no class of their own: a cover, a contact sheet
OF_MASKS = re.compile(
    r"(?:(?P<of>.+)[_ -])?(?:masks?|segmentations?|segmentation(?:class|object)|segs?|annotations?|labels?|"
    r"ground[_ -]?truths?|gts?|trimaps?)"
)
OF_IMAGES = re.compile(r"(?:.+[_ -])?(?:images?|imgs?|jpegimages|photos?|pictures?|rgb|inputs?|originals?)")
NAMED_MASK = re.compile(r"(?P<of>.+)[_. -](?:mask|segmentation|seg|ground_?truth|gt|trimap)(?:[_-]?\d+)?", re.I)
ALIKE = 0.5  # share of the names in a folder of masks that are names of images


def strays(paths: Sequence[Path]) -> dict[Path, str]:
    """The images, of those at these paths below a folder, that are no member of a class, each with the reason.

    A mask lies in a folder such as masks/ beside images/ or beside the images of the same names, or next to its image
    under a name such as 1_mask.png. At most MOST_BESIDE images beside class folders that have more images each, on
    average, are in no class; if there are more, they are a class of their own.
    """
    folders = mask_folders(paths)
    stems: defaultdict[Path, set[str]] = defaultdict(set)
    for path in paths:
        stems[path.parent].add(path.stem)
    masks = {path for path in paths if not folders.isdisjoint(path.parents) or _masks_one_of(path, stems[path.parent])}
    beside = _beside_classes([path for path in paths if path not in masks])
    return {path: MASK for path in paths if path in masks} | dict.fromkeys(beside, BESIDE)


def mask_folders(paths: Sequence[Path]) -> set[Path]:
    """The folders, above images at these paths, that hold masks: by their names and by the images beside them."""
    below: defaultdict[Path, set[str]] = defaultdict(set)
    direct: defaultdict[Path, set[str]] = defaultdict(set)
    for path in paths:
        direct[path.parent].add(path.stem)
        for folder in path.parents:
            below[folder].add(path.stem)
    siblings: defaultdict[Path, list[Path]] = defaultdict(list)
    for folder in below:
        siblings[folder.parent].append(folder)
    found = set()
    for folder, stems in below.items():
        named = OF_MASKS.fullmatch(folder.name.casefold())
        if not named:
            continue
        images = set(direct[folder.parent]) if named["of"] is None else set()
        for other in siblings[folder.parent]:
            if _holds_images(other.name.casefold(), named["of"]):
                images |= below[other]
        if sum(_named_after(stem, images) for stem in stems) >= ALIKE * len(stems):
            found.add(folder)
    return found


def _holds_images(name: str, masked: str | None) -> bool:
    """Whether a folder beside train_masks/ (`masked` is train) or masks/ (it is None) holds the images by its name.

    Beside face/, the folder face_mask/ is a class.
    """
    return name == (masked or name) and bool(OF_IMAGES.fullmatch(name) or split_named(name))


def _named_after(stem: str, images: set[str]) -> bool:
    """Whether the name is that of an image, or begins with it: 12_mask, 12-1."""
    return stem in images or any(stem[: end.start()] in images for end in re.finditer(r"[_. -]", stem))


def _masks_one_of(path: Path, beside: set[str]) -> bool:
    named = NAMED_MASK.fullmatch(path.stem)
    return named is not None and named["of"] in beside


def _beside_classes(members: Sequence[Path]) -> list[Path]:
    counts = Counter(path.parent for path in members)
    below = Counter(folder for path in members for folder in path.parents)
    folders = defaultdict(list)
    for folder in below:
        if folder.parts:
            folders[folder.parent].append(folder)

    def few(folder: Path) -> bool:
        inner = folders.get(folder, [])
        return bool(inner and counts[folder] <= MOST_BESIDE and counts[folder] * len(inner) < _total(inner, below))

    return [path for path in members if path.parent.parts and few(path.parent)]


def _total(folders: Sequence[Path], below: Mapping[Path, int]) -> int:
    return sum(below[folder] for folder in folders)
