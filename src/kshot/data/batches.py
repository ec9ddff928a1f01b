"""Training batches: P classes x K images, drawn from packed pixels."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.jpeg_images import JpegImages
from kshot.data.shards.feature_shards import ShardedFeatures
from kshot.data.shards.feature_views import FeatureViews
from kshot.data.shards.packed_shards import ShardedImages
from kshot.errors import DataError
from kshot.params.sections.train import FEWEST_IMAGES

Pixels = Tensor | NDArray[np.uint8] | NDArray[np.float32] | ShardedFeatures | FeatureViews | JpegImages | ShardedImages


def gather(images: Pixels, ids: Tensor) -> Tensor:
    """Gather the pixels with the given `ids`, rotated as the ids say, or their features.

    images (N, S, S, C) uint8, a tensor on any device or a memory-mapped array; ids (B,) int64 on the CPU, id = quarter
    turns * N + index. Returns uint8 (B, C, S, S), channels-last, on the images' device. If images is (M, width), the
    features of the images and their rotations in the order of their ids, returns its rows (B, width); of (M, V, width),
    the features of V views of each, (B, V, width).
    """
    if images.ndim < 4:
        return images[ids.to(images.device)] if isinstance(images, Tensor) else torch.from_numpy(images[ids.numpy()])
    turns, index = ids // len(images), ids % len(images)
    pixels = images[index.to(images.device)] if isinstance(images, Tensor) else torch.from_numpy(images[index.numpy()])
    for turn in (1, 2, 3):
        turned = (turns == turn).nonzero().flatten().to(pixels.device)
        if len(turned):
            pixels[turned] = pixels[turned].rot90(turn, (1, 2))
    return pixels.permute(0, 3, 1, 2)


def resident(images: Pixels, device: torch.device) -> Pixels:
    """Copy an array to `device` if it fits into half of its free memory; else, and on a CPU, return `images` as is."""
    if not isinstance(images, np.ndarray | ShardedImages | ShardedFeatures):
        return images
    if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 2:
        return torch.from_numpy(np.array(images)).to(device)
    return images


class ClassBalanced:
    """Draws batches of `classes_per_batch` classes x `images_per_class` images, without replacement in a batch.

    A class with fewer images contributes all of them, and repeats the first ones until there are enough.

    `members` has the image ids of each class; `groups`, which `classes_of_group` needs, the group of each class. Raises
    DataError if there are too few classes or images.
    """

    def __init__(
        self,
        members: Sequence[NDArray[np.integer[Any]]],
        names: Sequence[str],
        classes_per_batch: int,
        images_per_class: int,
        groups: Sequence[str] = (),
        classes_of_group: int | None = None,
    ) -> None:
        if len(members) < classes_per_batch:
            raise DataError(
                f"the training split has {len(members)} classes; train.batch.classes is {classes_per_batch}: "
                "lower it in params.yaml, or add classes"
            )
        for ids, name in zip(members, names, strict=True):
            if len(ids) < min(FEWEST_IMAGES, images_per_class):
                raise DataError(
                    f"class {name!r} has {len(ids)} images; training needs {FEWEST_IMAGES} of a class: drop the class, "
                    "or add images"
                )
        if images_per_class == 1:
            warnings.warn(
                "no batch will have a positive pair: train.batch.images is 1; raise it to 2 or more", stacklevel=2
            )
        self.classes_per_batch, self.images_per_class = classes_per_batch, images_per_class
        self.classes_of_group = classes_of_group
        self.groups = _by_group(names, groups, classes_of_group, classes_per_batch) if classes_of_group else []
        self.sizes = torch.tensor([len(ids) for ids in members])
        widest = int(self.sizes.max())
        self.ids = torch.zeros(len(members), widest, dtype=torch.int64)
        self.absent = torch.ones(len(members), widest, dtype=torch.bool)
        for row, ids in enumerate(members):
            self.ids[row, : len(ids)] = torch.from_numpy(np.asarray(ids, dtype=np.int64))
            self.absent[row, : len(ids)] = False

    def draw(self, generator: torch.Generator, neighbours: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Draw ids and labels, each (P * K,) int64, the images of one class together.

        With `classes_of_group`, each group contributes up to that many random classes, group after group, until the
        batch is full. With `neighbours` (C, g) int64, the nearest classes of each class, random classes are drawn
        together with their g neighbours. Otherwise all classes are drawn at random. No class is drawn twice.
        """
        if self.groups:
            return self.of_classes(self._of_groups(generator), generator)
        chosen = torch.randperm(len(self.ids), generator=generator)
        if neighbours is not None:
            groups = torch.cat([chosen[:, None], neighbours[chosen]], 1)[: self.classes_per_batch]
            # Every row begins with a different class, so this many rows always suffice.
            classes, first = np.unique(groups.numpy(), return_index=True)
            chosen = torch.from_numpy(classes[first.argsort()])
        chosen = chosen[: self.classes_per_batch]
        return self.of_classes(chosen, generator)

    def _of_groups(self, generator: torch.Generator) -> Tensor:
        """Draw up to `classes_of_group` random classes from each of random groups until a batch is full."""
        chosen: list[Tensor] = []
        for place in torch.randperm(len(self.groups), generator=generator).tolist():
            group = self.groups[place]
            chosen.append(group[torch.randperm(len(group), generator=generator)[: self.classes_of_group]])
            if sum(map(len, chosen)) >= self.classes_per_batch:
                break
        return torch.cat(chosen)[: self.classes_per_batch]

    def of_classes(self, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Ids and labels of `images_per_class` images of each of `classes`; repeated only if a class has too few."""
        order = torch.rand(len(classes), self.ids.shape[1], generator=generator)
        columns = order.masked_fill(self.absent[classes], 2.0).argsort(1)
        columns = columns.gather(1, torch.arange(self.images_per_class) % self.sizes[classes, None])
        return self.ids[classes].gather(1, columns).flatten(), classes.repeat_interleave(self.images_per_class)


def _by_group(names: Sequence[str], groups: Sequence[str], most: int, classes_per_batch: int) -> list[Tensor]:
    """The labels of each group's classes, group by group. Raises DataError if they cannot fill a batch."""
    members: dict[str, list[int]] = {}
    for label, (name, group) in enumerate(zip(names, groups, strict=True)):
        if not group:
            raise DataError(
                f"class {name!r} is in no group, and train.batch.classes_of_group is {most}: "
                "set it to null, or add the data with its groups"
            )
        members.setdefault(group, []).append(label)
    found = [torch.tensor(labels) for labels in members.values()]
    available = sum(min(most, len(labels)) for labels in found)
    if available < classes_per_batch:
        raise DataError(
            f"the training split has {len(found)} groups, {available} classes with {most} of each at most "
            f"(train.batch.classes_of_group); train.batch.classes is {classes_per_batch}: lower it, or raise the other"
        )
    return found


def split_support(labels: Tensor, images_per_class: int, k_shot: int) -> tuple[Tensor, Tensor]:
    """Positions of support and query in a batch grouped by class: the first k_shot images of each are support."""
    place = torch.arange(len(labels)) % images_per_class
    return (place < k_shot).nonzero().flatten(), (place >= k_shot).nonzero().flatten()
