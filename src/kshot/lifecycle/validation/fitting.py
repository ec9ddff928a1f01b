"""Computes the largest settings of splits, episodes and batches that a data set can fill, as pure functions."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kshot.data.splits import SPLITS, split_classes
from kshot.errors import KshotError
from kshot.params.schema import Params, Protocol

FEWEST_IMAGES = 2  # per class: one support image and one query; a batch needs two as well
FEWEST_CLASSES = 2  # per episode or batch


class ClassSupply(NamedTuple):
    """One class of the data: its number of different images, its group ('' for none), and its split in the data."""

    name: str
    images: int
    group: str = ""
    split: str = ""


class Fit(NamedTuple):
    """Settings that the data can fill.

    settings   dotted key of params.yaml to its new value, only those that change
    drop       classes that no setting can use, to be left out
    obstacle   why no settings fit, '' if some do; `settings` is then empty
    """

    settings: dict[str, Any]
    drop: tuple[str, ...] = ()
    obstacle: str = ""


def fit(classes: Sequence[ClassSupply], params: Params, by: str) -> Fit:
    """The settings nearest to `params` that these classes can fill, split `by` table, group or class.

    A setting is lowered only as far as necessary, and a split grows only if it has too few classes for any episode.
    k_shot is lowered only if no query would be left. Every class with at least two images is used.
    """
    drop = tuple(sorted(one.name for one in classes if one.images < FEWEST_IMAGES))
    kept = [one for one in classes if one.images >= FEWEST_IMAGES]
    by_drawer = [name for name, protocol in params.episodes.protocols.items() if protocol.by_drawer]
    if by_drawer:
        why = "has by_drawer: what fits depends on the classes that each two drawers share. Take the limits above, or"
        return Fit({}, drop, f"{by_drawer[0]} {why} set by_drawer: false and run again")
    try:
        settings, place = _split(kept, params, by)
        supply = _Supply(kept, place, params)
        settings |= _batches(supply, params)
        settings |= _episodes(supply, params, settings)
    except KshotError as error:
        return Fit({}, drop, str(error))
    return Fit({key: value for key, value in settings.items() if value != _value(params, key)}, drop)


class _Supply:
    """What the splits contain: labels (a class in each rotation), the largest group, the fewest images of a class."""

    def __init__(self, classes: Sequence[ClassSupply], place: Mapping[str, str], params: Params) -> None:
        turns = _turns(params)
        asked = [one for one in classes if place[one.name] != "train"]
        trained = [one for one in classes if place[one.name] in params.train.splits]
        self.trained = sum(turns[place[one.name]] for one in trained)
        self.images_trained = min(one.images for one in trained)
        self.images_asked = min(one.images for one in asked)
        labels, of_group = Counter[str](), {split: Counter[str]() for split in SPLITS}
        for one in asked:
            labels[place[one.name]] += turns[place[one.name]]
            if one.group:
                of_group[place[one.name]][one.group] += turns[place[one.name]]
        self.asked = min(labels[split] for split in SPLITS[1:])
        self.grouped = min(max(of_group[split].values(), default=0) for split in SPLITS[1:])


def _split(classes: Sequence[ClassSupply], params: Params, by: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Changed settings of the split, and each class's split with them. Raises KshotError for too few classes."""
    groups, table = {one.name: one.group for one in classes}, {one.name: one.split for one in classes}
    asked = params.split
    if by != "class":
        place = split_classes(groups, table, by=by, val=asked.val, test=asked.test, seed=asked.seed)
        short = [split for split in SPLITS if _labels(place, split, params) < FEWEST_CLASSES]
        if not short:
            return {}, place
        if by == "table":
            raise KshotError(f"the data's own table gives split {short[0]!r} under 2 classes: give it more")
    counts = {split: -(-FEWEST_CLASSES // turns) for split, turns in _turns(params).items()}
    if len(classes) < sum(counts.values()):
        raise KshotError(
            f"there are {len(classes)} classes of 2 images or more; needs at least {sum(counts.values())}, "
            "to train on, to validate on and to test on: add classes"
        )
    val, test = (max(counts[name], round(share * len(classes))) for name, share in _shares(params))
    while len(classes) - val - test < counts["train"]:
        val, test = (val, test - 1) if test - counts["test"] >= val - counts["val"] else (val - 1, test)
    share_val, share_test = (
        share if max(1, round(share * len(classes))) == count else share_of(count, len(classes))
        for (_, share), count in zip(_shares(params), (val, test), strict=True)
    )
    place = split_classes(groups, table, by="class", val=share_val, test=share_test, seed=asked.seed)
    shares = {"split.val": share_val, "split.test": share_test}
    return shares if by == "class" else {"split.by": "class", **shares}, place


def _episodes(supply: _Supply, params: Params, batches: Mapping[str, Any]) -> dict[str, Any]:
    """Protocols with as many ways, shots and queries as fit, and the settings that refer to protocols by name."""
    episodes, ways, images = params.episodes, supply.asked, supply.images_asked
    if params.train.method.name == "mann":  # it has a fixed number of labels
        ways = min(ways, batches["train.method.n_way"] or batches["train.batch.classes"])
    most_shots = max(protocol.k_shot for protocol in episodes.protocols.values())
    n_query = min(episodes.n_query, max(1, images - most_shots))
    protocols: dict[str, Protocol] = {}
    renamed: dict[str, str] = {}
    for name, protocol in episodes.protocols.items():
        within = protocol.within_group and supply.grouped >= FEWEST_CLASSES
        queries = None if protocol.n_query is None else min(protocol.n_query, max(1, images - protocol.k_shot))
        made = dataclasses.replace(
            protocol,
            n_way=min(protocol.n_way, supply.grouped if within else ways, ways),
            k_shot=min(protocol.k_shot, images - (queries or n_query)),
            within_group=within,
            n_query=queries,
        )
        same = next((known for known, other in protocols.items() if other == made), None)
        renamed[name] = same or (name if made == protocol else _name(made, {*protocols, *episodes.protocols}))
        protocols[renamed[name]] = made
    least: dict[str, float] = {}
    for name, value in params.gate.min_accuracy.items():
        floor = _floor(value, episodes.protocols[name].n_way, protocols[renamed[name]].n_way)
        least[renamed[name]] = max(floor, least.get(renamed[name], 0.0))
    return {
        "episodes.n_query": n_query,
        "episodes.protocols": {name: _written(protocol) for name, protocol in protocols.items()},
        "train.validation.protocol": renamed[params.train.validation.protocol],
        "gate.min_accuracy": least,
        "gate.group_protocol": renamed[params.gate.group_protocol],
    }


def _batches(supply: _Supply, params: Params) -> dict[str, Any]:
    """Batches with as many classes and images as the training classes can fill."""
    train = params.train
    classes, images = min(train.batch.classes, supply.trained), min(train.batch.images, supply.images_trained)
    return {
        "train.batch.classes": classes,
        "train.batch.images": images,
        "train.method.n_way": None if train.method.n_way is None else min(train.method.n_way, classes),
        "train.method.k_shot": min(train.method.k_shot, max(1, images - 1)),
        "train.batch.mine_neighbours": min(train.batch.mine_neighbours, classes - 1),
    }


def _name(protocol: Protocol, taken: set[str]) -> str:
    """5w1s for 5 ways and 1 shot, with a suffix if the name is taken by another protocol."""
    name = f"{protocol.n_way}w{protocol.k_shot}s" + ("-within" if protocol.within_group else "")
    names = itertools.chain([name], (f"{name}-{i}" for i in itertools.count(2)))
    return next(one for one in names if one not in taken)


def _floor(share: float, n_way: int, fewer: int) -> float:
    """The accuracy among `fewer` classes as far from chance to 1 as `share` among `n_way` (Cohen's kappa).

    0.80 of 5 ways is three quarters of that distance, which is 0.88 of 2 ways, where chance is already 0.5.
    """
    if fewer == n_way:
        return share
    chance, other = 1 / n_way, 1 / fewer
    return round(max(0.0, other + (share - chance) / (1 - chance) * (1 - other)), 2)


def _written(protocol: Protocol) -> dict[str, Any]:
    """The protocol as in params.yaml, where rarely used keys are left out."""
    content = dataclasses.asdict(protocol)
    return {key: value for key, value in content.items() if key not in ("by_drawer", "n_query") or value}


def _turns(params: Params) -> dict[str, int]:
    """The number of rotations of each class, by split."""
    turned = {"none": (), "train": ("train",), "all": SPLITS}[params.split.rotations]
    return {split: 4 if split in turned else 1 for split in SPLITS}


def _labels(place: Mapping[str, str], split: str, params: Params) -> int:
    return sum(one == split for one in place.values()) * _turns(params)[split]


def _shares(params: Params) -> tuple[tuple[str, float], ...]:
    return ("val", params.split.val), ("test", params.split.test)


def share_of(count: int, total: int) -> float:
    """The shortest decimal share of `total` that rounds to `count`."""
    rounded = (round(count / total, digits) for digits in range(2, 12))
    return next(share for share in rounded if round(share * total) == count)


def _value(params: Params, key: str) -> Any:
    """The value of a dotted key, as in params.yaml."""
    value: Any = params
    for name in key.split("."):
        value = getattr(value, name)
    if key == "episodes.protocols":
        return {name: _written(protocol) for name, protocol in value.items()}
    return value
