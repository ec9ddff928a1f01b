"""Profile of a data version: the figures that determine settings."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from kshot.data.class_supply import ClassSupply
from kshot.errors import DataError
from kshot.lifecycle.data import cached_images, working_copy
from kshot.lifecycle.settings_fit.image_traits import ImageTraits, image_traits, sampled


@dataclass(frozen=True)
class DataProfile:
    """traits: of a sample of images; classes: with different images, group and split; images: total number."""

    traits: ImageTraits
    classes: tuple[ClassSupply, ...]
    images: int

    @property
    def has_split(self) -> bool:
        """Whether the data assigns classes to training, validation and test."""
        return any(one.split for one in self.classes)


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
    return DataProfile(image_traits(files), tuple(classes), len(images))
