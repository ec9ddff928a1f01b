"""Finds images below a folder that are no member of a class: masks of other images, and images beside class folders."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from kshot.data.splits import split_named

MASK = "a mask, which labels the pixels of another image"
IN_MASK_FOLDER = f"{MASK}; if its folder is a class, give that another name"
BESIDE = "beside class folders, so in no class"
MOST_BESIDE = 2  # images next to class folders that are no separate class: a cover, a contact sheet
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
    files, folders = _files(paths), mask_folders(paths)
    found: dict[Path, str] = {}
    for folder, members in files.items():
        if not folders.isdisjoint((folder, *folder.parents)):
            found |= dict.fromkeys(members, IN_MASK_FOLDER)
        else:
            stems = {path.stem for path in members}
            found |= dict.fromkeys([path for path in members if _masks_one_of(path, stems)], MASK)
        files[folder] = [path for path in members if path not in found]
    return found | dict.fromkeys(_beside_classes({folder: one for folder, one in files.items() if one}), BESIDE)


def mask_folders(paths: Sequence[Path]) -> set[Path]:
    """The folders, above images at these paths, that hold masks: by their names and by the images beside them."""
    files = _files(paths)
    inner = defaultdict(list)
    for folder in {above for one in files for above in (one, *one.parents)}:
        inner[folder.parent].append(folder)

    def stems_below(folder: Path) -> set[str]:
        stems = {path.stem for path in files.get(folder, [])}
        return stems.union(*(stems_below(one) for one in inner[folder] if one != folder))

    found = set()
    for parent, folders in list(inner.items()):
        for folder in folders:
            named = OF_MASKS.fullmatch(folder.name.casefold())
            if not named:
                continue
            beside = [one for one in folders if _holds_images(one.name.casefold(), named["of"])]
            images = {path.stem for path in files.get(parent, [])} if named["of"] is None else set()
            images = images.union(*map(stems_below, beside))
            stems = stems_below(folder)
            if sum(_named_after(stem, images) for stem in stems) >= ALIKE * len(stems):
                found.add(folder)
    return found


def _files(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """The images directly in each folder: of a million images, only the folders are looked at one by one."""
    files: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        files[path.parent].append(path)
    return dict(files)


def _holds_images(name: str, masked: str | None) -> bool:
    """Whether a folder beside train_masks/ (`masked` is train) or masks/ (it is None) holds the images by its name.

    Beside face/, the folder face_mask/ is a class.
    """
    return name == (masked or name) and bool(OF_IMAGES.fullmatch(name) or split_named(name))


def _named_after(stem: str, images: set[str]) -> bool:
    """Whether the name is an image's name, or begins with one: 12_mask, 12-1."""
    return stem in images or any(stem[: end.start()] in images for end in re.finditer(r"[_. -]", stem))


def _masks_one_of(path: Path, beside: set[str]) -> bool:
    named = NAMED_MASK.fullmatch(path.stem)
    return named is not None and named["of"] in beside


def _beside_classes(files: Mapping[Path, Sequence[Path]]) -> list[Path]:
    below: Counter[Path] = Counter()
    for folder, members in files.items():
        for above in (folder, *folder.parents):
            below[above] += len(members)
    inner = defaultdict(list)
    for folder in below:
        inner[folder.parent].append(below[folder])
    return [
        path
        for folder, members in files.items()
        if folder.parts and len(members) <= MOST_BESIDE and len(members) * len(inner[folder]) < sum(inner[folder])
        for path in members
    ]
