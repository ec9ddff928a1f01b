"""Images that training and each protocol need per class, splits left with too few classes, and classes left out.

A class with too few images for a protocol is in none of its episodes; a class with a single image is in no batch.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from kshot.data.splits import SPLITS
from kshot.first_few import first_few
from kshot.lifecycle.project.tables import counted
from kshot.params.schema import Params
from kshot.params.sections.episodes import Protocol
from kshot.params.sections.train import FEWEST_IMAGES

EVALUATED, TRAINED = "k_shot + n_query", "a batch"  # names of the demands for a person
FEWEST_TRAINED = FEWEST_IMAGES
NAMED = 5  # classes named in a line


def different_images(manifest: pd.DataFrame) -> dict[str, int]:
    """The number of different images of each class."""
    return {str(name): int(count) for name, count in manifest.groupby("class")["content"].nunique().items()}


def evaluation_demands(params: Params) -> list[tuple[Protocol, int]]:
    """Each protocol and the images that it needs per class."""
    episodes = params.episodes
    return [(one, one.k_shot + episodes.queries(one)) for one in episodes.by_name.values()]


def unfilled_demands(manifest: pd.DataFrame, base: pd.DataFrame, params: Params) -> dict[str, list[tuple[str, int]]]:
    """By split, demands (name, images per class) that too few of its classes meet; base: the upright classes."""
    images = different_images(manifest)
    found: dict[str, list[tuple[str, int]]] = {split: [] for split in SPLITS}
    turns = {split: params.split.turns(split) for split in SPLITS}
    trained = base[base["split"].isin(params.train.splits)]
    enough = sum(
        turns[split]
        for name, split in zip(trained["class"], trained["split"], strict=True)
        if images.get(name, 0) >= FEWEST_TRAINED
    )
    if enough < params.train.batch.class_count:
        for split in params.train.splits:
            found[split].append((TRAINED, FEWEST_TRAINED))
    for split in SPLITS[1:]:
        part = base[base["split"] == split]
        for protocol, needed in evaluation_demands(params):
            large = part[[images.get(name, 0) >= needed for name in part["class"]]]
            if protocol.within_group:
                groups = large.loc[large["group"] != "", "group"].value_counts()
                most = int(groups.iloc[0]) if len(groups) else 0
            else:
                most = len(large)
            if most * turns[split] < protocol.n_way:
                found[split].append((EVALUATED, needed))
    return found


def left_out_lines(manifest: pd.DataFrame, base: pd.DataFrame, params: Params) -> list[str]:
    """One line per number of images that some classes do not reach, naming those with the fewest."""
    images = different_images(manifest)
    return list(_lines(images, dict(zip(base["class"], base["split"], strict=True)), params))


def _lines(images: Mapping[str, int], place: Mapping[str, str], params: Params) -> Iterator[str]:
    single = [name for name in place if place[name] in params.train.splits and images.get(name, 0) < FEWEST_TRAINED]
    if single:
        yield f"not trained on, as {FEWEST_TRAINED} images are needed: {named(single, images)}"
    for needed in sorted({needed for _, needed in evaluation_demands(params)}):
        few = [name for name in place if place[name] in SPLITS[1:] and images.get(name, 0) < needed]
        if few:
            asking = [
                name
                for name, protocol in params.episodes.by_name.items()
                if protocol.k_shot + params.episodes.queries(protocol) == needed
            ]
            yield f"not in episodes of {', '.join(asking)} ({needed} images a class): {named(few, images)}"


def named(classes: list[str], images: Mapping[str, int]) -> str:
    """How many classes, and the ones with the fewest images, each with its count."""
    fewest = sorted(classes, key=lambda name: (images.get(name, 0), name))
    each = [f"{name} ({images.get(name, 0)})" for name in fewest]
    return f"{counted(len(fewest), 'class')}, {first_few(each, NAMED)}"
