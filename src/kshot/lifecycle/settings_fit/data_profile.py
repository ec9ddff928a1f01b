"""Profile of a data version: the figures that determine settings."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from kshot.data.class_supply import ClassSupply
from kshot.errors import DataError
from kshot.lifecycle.data import cached_images, working_copy
from kshot.lifecycle.settings_fit.image_traits import ImageTraits, image_traits, sampled


@dataclass(frozen=True)
class DataProfile:
    """The figures of the data that determine settings.

    traits   of a sample of images
    classes  with different images, group and split
    images   total number
    shared   pairs of classes that hold the same files, with how many, most first
    """

    traits: ImageTraits
    classes: tuple[ClassSupply, ...]
    images: int
    shared: tuple[tuple[str, str, int], ...] = ()


def profile_data(root: Path) -> DataProfile:
    """The profile of the data version in data/raw.dvc. Raises DataError if there is none, or its data is gone."""
    version = working_copy.tracked(root)
    if version is None:
        raise DataError("there is no data yet; add some: kshot data add FOLDER")
    images = cached_images.images(root, version.md5)
    contents: dict[str, set[str]] = defaultdict(set)
    of_class = {}
    for image in images:
        contents[image.label].add(image.md5)  # copies of a file count once
        of_class[image.label] = image
    files = cached_images.files(root, version.md5, [image.md5 for image in sampled(images)])
    classes = (ClassSupply(name, len(contents[name]), one.group, one.split) for name, one in sorted(of_class.items()))
    return DataProfile(image_traits(files), tuple(classes), len(images), shared_files(contents))


def shared_files(contents: Mapping[str, Collection[str]]) -> tuple[tuple[str, str, int], ...]:
    """Pairs of classes that hold the same files, with how many, most first; contents: class to the md5 of its files."""
    holders: dict[str, list[str]] = defaultdict(list)
    for name in sorted(contents):
        for md5 in contents[name]:
            holders[md5].append(name)
    pairs = Counter((names[0], other) for names in holders.values() for other in names[1:])
    return tuple((*pair, count) for pair, count in sorted(pairs.items(), key=lambda item: (-item[1], item[0])))
