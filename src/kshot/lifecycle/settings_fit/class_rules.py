"""Rules for settings that depend on the classes and their numbers of images: split, episodes and batches."""

from collections.abc import Mapping, Sequence

from kshot.data.splits import SPLITS, split_classes
from kshot.errors import DataError
from kshot.lifecycle.settings_fit.data_profile import DataProfile
from kshot.lifecycle.settings_fit.fitted_settings import Setting
from kshot.lifecycle.validation.class_demands import named
from kshot.lifecycle.validation.fitting import FEWEST_IMAGES, ClassSupply, share_of

FEWEST_CLASSES = 2  # per split
WAYS, SHOTS, MOST_QUERIES = (5, 10, 20), (1, 5), 15
VAL, TEST = 0.2, 0.25  # shares of the classes
SMALL = 0.1  # share of the classes that may have fewer images than the settings need
BATCH_CLASSES, BATCH_IMAGES = 16, 5
DRAWING_CLASSES, DRAWING_IMAGES = 60, 6


def split_settings(profile: DataProfile) -> tuple[list[Setting], dict[str, str]]:
    """Settings of the split, and each class's split with them; if possible, five classes each in val and test."""
    total = len(profile.classes)
    val, test = (max(WAYS[0], round(share * total)) for share in (VAL, TEST))
    if total - val - test < FEWEST_CLASSES:  # two for training; the rest evenly
        val, test = (total - FEWEST_CLASSES) // 2, (total - FEWEST_CLASSES + 1) // 2
    by = "table" if profile.has_split else "class"
    place = _placed(profile, by, val, test)
    while by == "class":  # classes with one image do not count, whichever split they are in
        counts = {name: len(images) for name, images in images_by_split(profile.classes, place).items()}
        short = [name for name in SPLITS[1:] if counts[name] < WAYS[0]]
        if not short or counts["train"] - len(short) < FEWEST_CLASSES:
            break
        val, test = val + ("val" in short), test + ("test" in short)
        place = _placed(profile, by, val, test)
    found = {name: sum(one == name for one in place.values()) for name in SPLITS}
    told = f"{found['train']} classes to train on, {found['val']} to validate on, {found['test']} to test on"
    how = "the data's own split" if by == "table" else "no class is in two; groups are not kept together"
    return [
        Setting("split.by", by, f"{how}: {told}"),
        Setting("split.val", share_of(val, total)),
        Setting("split.test", share_of(test, total)),
        Setting("split.seed", 0),
        Setting("split.rotations", "none"),
    ], place


def images_by_split(classes: Sequence[ClassSupply], place: Mapping[str, str]) -> dict[str, list[int]]:
    """The numbers of images of the classes with at least two images, by split."""
    return {
        name: [one.images for one in classes if place[one.name] == name and one.images >= FEWEST_IMAGES]
        for name in SPLITS
    }


def _placed(profile: DataProfile, by: str, val: int, test: int) -> dict[str, str]:
    """Each class's split, with that many classes for validation and for test."""
    total = len(profile.classes)
    return split_classes(
        {one.name: one.group for one in profile.classes},
        {one.name: one.split for one in profile.classes},
        by=by,
        val=share_of(val, total),
        test=share_of(test, total),
        seed=0,
    )


def episode_settings(counts: Mapping[str, Sequence[int]]) -> tuple[list[Setting], dict[str, tuple[int, int]]]:
    """The settings of the episodes, and the protocols by name: ways and shots."""
    asked = [counts["val"], counts["test"]]
    usual = _tenth([*counts["val"], *counts["test"]])
    n_query = min(MOST_QUERIES, usual - max(SHOTS) if usual > max(SHOTS) else usual - 1)
    least = min(min(WAYS), *(len(one) for one in asked))
    if least < FEWEST_CLASSES:
        raise DataError(
            "fewer than two classes of two images are in split val or test; give more classes that split, or none any"
        )
    while n_query > 1 and _ways(asked, 1, n_query) < least:
        n_query -= 1
    protocols: dict[str, tuple[int, int]] = {}
    for shots in SHOTS:
        most = _ways(asked, shots, n_query)
        ways = [one for one in WAYS if one <= most] or [most]
        protocols |= {f"{one}w{shots}s": (one, shots) for one in ways if one >= FEWEST_CLASSES}
    protocols = dict(sorted(protocols.items(), key=lambda pair: pair[1]))
    smaller = min(len(one) for one in asked)
    written = {name: {"n_way": n, "k_shot": k, "within_group": False} for name, (n, k) in protocols.items()}
    widest = max((one for one in protocols if protocols[one][1] == 1), key=lambda one: protocols[one][0])
    return [
        Setting("episodes.n_query", n_query, f"nine in ten evaluation classes have {usual} images or more"),
        Setting("episodes.protocols", written, f"validation and test have {smaller} classes or more each"),
        Setting("train.validation.protocol", widest, "the most classes that validation can ask for"),
    ], protocols


def _ways(asked: Sequence[Sequence[int]], shots: int, n_query: int) -> int:
    """How many classes every one of these splits has with enough images for that many shots and queries."""
    return min(sum(images >= shots + n_query for images in one) for one in asked)


def batch_settings(counts: Sequence[int], drawings: bool) -> list[Setting]:
    """The classes and images of a batch."""
    most = (DRAWING_CLASSES, DRAWING_IMAGES) if drawings else (BATCH_CLASSES, BATCH_IMAGES)
    classes = min(most[0], len(counts))
    images = max(FEWEST_IMAGES, min(most[1], _tenth(counts)))
    return [
        Setting("train.batch.classes", classes, f"of {len(counts)} training classes"),
        Setting("train.batch.images", images, "one for the support, the others queries"),
        Setting("train.method.k_shot", 1),
        Setting("train.method.n_way", None),
        Setting("train.batch.classes_of_group", None),
        Setting("train.batch.mine_every", 0),
        Setting("train.batch.mine_neighbours", min(3, classes - 1)),
    ]


def left_out_lines(
    classes: Sequence[ClassSupply], place: Mapping[str, str], protocols: Mapping[str, tuple[int, int]], n_query: int
) -> list[str]:
    """One line per number of images that some classes do not reach, with those classes and their counts."""
    images = {one.name: one.images for one in classes}
    single = [name for name, count in images.items() if count < FEWEST_IMAGES]
    lines = [f"used nowhere, as {FEWEST_IMAGES} images are needed: {named(single, images)}"] if single else []
    asked = [name for name, count in images.items() if count >= FEWEST_IMAGES and place[name] != "train"]
    for shots in sorted({shots for _, shots in protocols.values()}):
        few = [name for name in asked if images[name] < shots + n_query]
        if few:
            asking = ", ".join(name for name, (_, k) in protocols.items() if k == shots)
            lines.append(f"not in episodes of {asking} ({shots + n_query} images a class): {named(few, images)}")
    return lines


def _tenth(counts: Sequence[int]) -> int:
    """The largest number of images that nine in ten of the classes reach."""
    return sorted(counts)[int(SMALL * len(counts))] if counts else FEWEST_IMAGES
