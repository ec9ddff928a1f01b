"""Rules for settings that depend on the classes and their numbers of images: split, episodes and batches."""

from collections.abc import Mapping, Sequence

from kshot.data.class_supply import ClassSupply, share_of
from kshot.data.splits import SPLITS, hash_shares, split_classes
from kshot.errors import DataError
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.settings_fit.fitted_settings import Setting
from kshot.lifecycle.settings_fit.protocol_rules import FEWEST_CLASSES, WAYS, FittedEpisodes, by_split, floor_of, tenth
from kshot.lifecycle.validation.class_demands import named
from kshot.params.sections.split import Split
from kshot.params.sections.train import FEWEST_IMAGES, MOST_CLASSES, MOST_CLASSES_PRETRAINED

FEWEST_TO_START = 5  # classes with two images: two for test, and three others to train on
VAL, TEST = 0.2, 0.25  # shares of the classes
ENOUGH = 1.5  # times as many or as few classes as proposed that a split may have before it is proposed again
FEW_TRAINED = "train alone has too few classes; those of val are trained on too, and nothing is validated"
SEEDS = 50  # tried where classes with one image take the places of others
PHOTOGRAPH_BATCH, DRAWING_BATCH = (MOST_CLASSES_PRETRAINED, 5), (MOST_CLASSES, 6)  # classes and images


def require_classes(classes: Sequence[ClassSupply]) -> None:
    """Raise DataError for fewer than five classes with two images."""
    usable = sum(one.images >= FEWEST_IMAGES for one in classes)
    if usable < FEWEST_TO_START:
        single = len(classes) - usable
        what = "classes" if len(classes) < FEWEST_TO_START else "images"
        where = f" to the {counted(single, 'class')} with one" if what == "images" else ""
        found = f"{counted(usable, 'class')} have" if usable > 1 else "1 class has" if usable else "no class has"
        raise DataError(
            f"{found} two different images or more; needs at least {FEWEST_TO_START}, two to test on and three to "
            f"train on: add {what}{where}"
        )


def split_settings(classes: Sequence[ClassSupply], now: Split | None = None) -> tuple[list[Setting], dict[str, str]]:
    """Settings of the split, and each class's split with them.

    The hash of its name decides where a class goes, so that it stays there as the data grows. The split of `now` stays
    while it gives each part enough classes. Validation and test get five classes each if two are left for training,
    otherwise as many as possible. With five classes two are tested on; the three others are trained on, and nothing is
    validated.
    """
    by = "table" if any(one.split for one in classes) else "class"
    usable = sum(one.images >= FEWEST_IMAGES for one in classes)
    trained = min(FEWEST_CLASSES, usable - 2 * FEWEST_CLASSES)
    val, test, seed, place = _counts(classes, by, max(1, trained), now.seed if now else 0)
    shares = _shares(classes, by, val, test, seed)
    if now is not None and (stays := _stays(classes, by, now, place)) is not None:
        shares, seed, place = {"val": now.val, "test": now.test}, now.seed, stays
    found = {name: len(part) for name, part in by_split(classes, place).items()}
    both = found["train"] < FEWEST_CLASSES
    if both:
        used = f"{counted(found['train'], 'class')} in train, {found['val']} in val, {found['test']} in test"
    else:
        used = f"{found['train']:,} classes to train on, {found['val']:,} to validate on, {found['test']:,} to test on"
    how = "the data's own split" if by == "table" else "no class is in two; groups are not kept together"
    return [
        Setting("split.by", by, f"{how}: {used}"),
        Setting("split.val", shares["val"]),
        Setting("split.test", shares["test"]),
        Setting("split.seed", seed),
        Setting("split.assign", "hash", "a class keeps its split as the data grows"),
        Setting("split.rotations", "none"),
        Setting("train.splits", *((["train", "val"], FEW_TRAINED) if both else (["train"],))),
        Setting("train.validation.patience", 0 if both else 4),
    ], place


def _shares(classes: Sequence[ClassSupply], by: str, val: int, test: int, seed: int) -> dict[str, float]:
    """The shares with which the hashes of names give validation and test so many of the classes."""
    shares, counts = {"test": TEST, "val": VAL}, {"test": test, "val": val}
    names = [one.name for one in classes]
    if by == "table":
        names = [one.name for one in classes if one.split == "train"]
        counts = {split: count for split, count in counts.items() if all(one.split != split for one in classes)}
    drawn = hash_shares(names, counts, shares, seed)
    # The share of a split that the table fills draws nothing, but params.yaml needs a sum below 1.
    room = round((1 - sum(drawn.values())) / 2, 12)
    return {split: min(share, room) for split, share in shares.items()} | drawn


def _stays(classes: Sequence[ClassSupply], by: str, now: Split, place: Mapping[str, str]) -> dict[str, str] | None:
    """Each class's split by the settings `now`; None if they do not give about the numbers of `place`."""
    if now.assign != "hash" or now.by != by:
        return None
    groups, table = {one.name: one.group for one in classes}, {one.name: one.split for one in classes}
    try:
        stays = split_classes(groups, table, by=by, val=now.val, test=now.test, seed=now.seed, assign=now.assign)
    except DataError:
        return None
    for name, part in by_split(classes, stays).items():
        best = len(by_split(classes, place)[name])
        least = max(min(best, WAYS[0] if name != "train" else FEWEST_CLASSES), best / ENOUGH)
        if not least <= len(part) <= ENOUGH * max(best, FEWEST_CLASSES):
            return None
    return stays


def _counts(classes: Sequence[ClassSupply], by: str, trained: int, first: int) -> tuple[int, int, int, dict[str, str]]:
    """How many classes validation and test get, the seed, and each class's split; `trained`: fewest to train on.

    Seed `first` is tried first.
    Classes with one image do not count, whichever split they are in, so that more, or another seed, may be needed.
    """
    total = len(classes)
    val, test = (max(WAYS[0], round(share * total)) for share in (VAL, TEST))
    if total - val - test < trained:
        val, test = (total - trained) // 2, (total - trained + 1) // 2
    best: tuple[tuple[int, int], tuple[int, int, int, dict[str, str]]] | None = None
    for seed in [first, *(one for one in range(SEEDS) if one != first)][: SEEDS if by == "class" else 1]:
        found = _enlarged(classes, by, val, test, seed, trained)
        counts = {name: len(part) for name, part in by_split(classes, found[3]).items()}
        rank = (min(counts["train"], trained), min(counts["val"], counts["test"], WAYS[0]))
        if best is None or rank > best[0]:
            best = rank, found
        if best[0] == (trained, WAYS[0]) or len(classes) == sum(counts.values()):
            break
    assert best is not None
    return best[1]


def _enlarged(
    classes: Sequence[ClassSupply], by: str, val: int, test: int, seed: int, trained: int
) -> tuple[int, int, int, dict[str, str]]:
    """The result of `_counts` with this seed: val and test grow while they are short and training has enough."""
    place = _placed(classes, by, val, test, seed)
    while by == "class":
        counts = {name: len(part) for name, part in by_split(classes, place).items()}
        short = [name for name in SPLITS[1:] if counts[name] < WAYS[0]]
        if not short or counts["train"] - len(short) < trained:
            break
        val, test = val + ("val" in short), test + ("test" in short)
        place = _placed(classes, by, val, test, seed)
    return val, test, seed, place


def _placed(classes: Sequence[ClassSupply], by: str, val: int, test: int, seed: int) -> dict[str, str]:
    """Each class's split, with that many classes for validation and for test."""
    total = len(classes)
    return split_classes(
        {one.name: one.group for one in classes},
        {one.name: one.split for one in classes},
        by=by,
        val=share_of(val, total),
        test=share_of(test, total),
        seed=seed,
    )


def episode_settings(fitted: FittedEpisodes) -> list[Setting]:
    """The settings of the episodes: `auto`, with its current values."""
    return [
        Setting("episodes.n_query", "auto", f"{fitted.n_query} now: {fitted.queries_why}"),
        Setting("episodes.protocols", "auto", f"{', '.join(fitted.protocols)} now: {fitted.protocols_why}"),
        Setting("train.validation.protocol", "auto", f"{fitted.widest} now, the most classes that validation can ask"),
    ]


def batch_settings(
    counts: Sequence[int], most: tuple[int, int], n_way: int | None = None, *, auto: bool = False
) -> list[Setting]:
    """The classes and images of a batch, `most` at most; counts: different images of each training class.

    auto: `most` classes are those of `train.batch.classes: auto`, which follows the classes as the data changes.
    """
    classes = min(most[0], len(counts))
    images = max(FEWEST_IMAGES, min(most[1], tenth(counts)))
    return [
        Setting(
            "train.batch.classes",
            "auto" if auto else classes,
            f"{classes} now, of {len(counts)} training classes" if auto else f"of {len(counts)} training classes",
        ),
        Setting("train.batch.images", images, "one for the support, the others queries"),
        Setting("train.method.k_shot", 1),
        Setting("train.method.n_way", None if n_way is None else min(n_way, classes)),
        Setting("train.batch.classes_of_group", None),
        Setting("train.batch.mine_every", 0),
        Setting("train.batch.mine_neighbours", 3 if auto else min(3, classes - 1)),
    ]


def gate_settings(fitted: FittedEpisodes) -> list[Setting]:
    """The minimum accuracy of a champion."""
    n_way = fitted.protocols[fitted.first].n_way
    why = (
        f"{fitted.first} {100 * floor_of(n_way):.0f} % now, where guessing reaches {100 / n_way:.0f} %; raise it to "
        f"what your application needs, as in {{{fitted.first}: 0.8}}"
    )
    return [Setting("gate.min_accuracy", "auto", why), Setting("gate.group_protocol", "auto")]


def left_out_lines(classes: Sequence[ClassSupply], place: Mapping[str, str], fitted: FittedEpisodes) -> list[str]:
    """One line per number of images that some classes do not reach, with those classes and their counts."""
    images = {one.name: one.images for one in classes}
    single = [name for name, count in images.items() if count < FEWEST_IMAGES]
    lines = [f"used nowhere, as {FEWEST_IMAGES} images are needed: {named(single, images)}"] if single else []
    evaluated = [name for name, count in images.items() if count >= FEWEST_IMAGES and place[name] != "train"]
    for shots in sorted({one.k_shot for one in fitted.protocols.values()}):
        needed = shots + fitted.n_query
        few = [name for name in evaluated if images[name] < needed]
        if few:
            asking = ", ".join(name for name, one in fitted.protocols.items() if one.k_shot == shots)
            lines.append(f"not in episodes of {asking} ({needed} images a class): {named(few, images)}")
    return lines
