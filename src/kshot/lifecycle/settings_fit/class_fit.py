"""Settings of split, episodes, batches and gate for data that failed the checks on counts; all others stay.

The rules are those of `kshot fit-settings`, which also chooses how images are prepared and the network.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kshot.data.class_supply import ClassSupply
from kshot.data.splits import SPLITS, split_classes
from kshot.errors import KshotError
from kshot.lifecycle.settings_fit.class_rules import (
    batch_settings,
    episode_settings,
    gate_settings,
    require_classes,
    split_settings,
)
from kshot.lifecycle.settings_fit.fitted_settings import Setting
from kshot.lifecycle.settings_fit.protocol_rules import FEWEST_CLASSES, by_split, fitted_episodes
from kshot.lifecycle.validation.text import ClassFit
from kshot.params.schema import Params
from kshot.params.sections.train import FEWEST_IMAGES

Parts = Mapping[str, Sequence[ClassSupply]]


def class_fit(classes: Sequence[ClassSupply], params: Params, by: str) -> ClassFit:
    """The settings that these classes can fill, split `by` table, group or class.

    The split stays if each of its parts has two classes with two images; protocols stay if they can be filled.
    """
    drop = tuple(sorted(one.name for one in classes if one.images < FEWEST_IMAGES))
    by_drawer = [name for name, protocol in params.episodes.by_name.items() if protocol.by_drawer]
    if by_drawer:
        why = "has by_drawer: what fits depends on the classes that each two drawers share. Take the limits above, or"
        return ClassFit({}, drop, f"{by_drawer[0]} {why} set by_drawer: false and run again")
    try:
        return _fit(classes, params, by)._replace(drop=drop)
    except KshotError as error:
        return ClassFit({}, drop, str(error))


def _fit(classes: Sequence[ClassSupply], params: Params, by: str) -> ClassFit:
    require_classes(classes)
    parts, splits = _parts(classes, params, by), list(params.train.splits)
    split: list[Setting] = []
    if min(len(part) for part in parts.values()) < FEWEST_CLASSES:
        split, place = split_settings(classes, params.split)
        parts = by_split(classes, place)
        splits = next(one.value for one in split if one.key == "train.splits")
    batch, method = params.train.batch, params.train.method
    counts = [one.images for name in splits for one in parts[name]]
    sizes = {one.key: one.value for one in batch_settings(counts, (batch.class_count, batch.images), method.n_way)}
    found = {one.key: one.value for one in split} | {
        "train.batch.classes": sizes["train.batch.classes"],
        "train.batch.images": sizes["train.batch.images"],
        "train.batch.mine_neighbours": min(batch.mine_neighbours, sizes["train.batch.classes"] - 1),
        "train.method.n_way": sizes["train.method.n_way"],
        "train.method.k_shot": min(method.k_shot, sizes["train.batch.images"] - 1),
    }
    now = {}
    if not _fills(parts, params):
        most = batch.class_count
        labels = min(method.n_way or most, most, len(counts)) if method.name == "mann" else None
        fitted = fitted_episodes([parts["val"], parts["test"]], most_ways=labels)
        fills = [*episode_settings(fitted), *gate_settings(fitted)]
        found |= {one.key: one.value for one in fills}
        now = {one.key: one.reason.partition(" now")[0] for one in fills}
    return ClassFit({key: value for key, value in found.items() if value != current(params, key)}, now=now)


def _parts(classes: Sequence[ClassSupply], params: Params, by: str) -> Parts:
    """The usable classes of each split that params.yaml gives; none if it cannot be made."""
    groups, table = {one.name: one.group for one in classes}, {one.name: one.split for one in classes}
    split = params.split
    try:
        place = split_classes(
            groups, table, by=by, val=split.val, test=split.test, seed=split.seed, assign=split.assign
        )
    except KshotError:
        return dict.fromkeys(SPLITS, ())
    return by_split(classes, place)


def _fills(parts: Parts, params: Params) -> bool:
    """Whether validation and test have the classes and images for every protocol; a rotation counts as a class."""
    episodes = params.episodes
    for protocol in episodes.by_name.values():
        for split in SPLITS[1:]:
            large = [one for one in parts[split] if one.images >= protocol.k_shot + episodes.queries(protocol)]
            of_group = Counter(one.group for one in large if one.group)
            found = max(of_group.values(), default=0) if protocol.within_group else len(large)
            if params.split.turns(split) * found < protocol.n_way:
                return False
    return True


def current(params: Params, key: str) -> Any:
    """The value of a dotted key, as in params.yaml."""
    value: Any = params
    for name in key.split("."):
        value = getattr(value, name)
    if isinstance(value, tuple):
        return list(value)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
