"""Replaces `auto` in the settings of episodes, batches, validation and gate by values that the classes can fill.

Stages, gate and `kshot plan` all read these params, so that no other code knows `auto`. The result is a function of the
params and of stage split's classes: it is the same wherever it is computed again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kshot.data.class_supply import ClassSupply
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.data.packed import read_classes, read_manifest
from kshot.lifecycle.settings_fit.protocol_rules import (
    FittedEpisodes,
    by_split,
    fitted_episodes,
    fitted_queries,
    floor_of,
)
from kshot.params.schema import AUTO, Params


def resolved_here(root: Path, params: Params) -> Params:
    """`params` without `auto`, for the classes that stage split wrote. Raises as `resolved` does."""
    if params.is_resolved:
        return params
    manifest, classes = read_manifest(root), read_classes(root)
    images = manifest.groupby("class")["content"].nunique()
    upright = classes[classes["rotation"] == 0]
    supply = [
        ClassSupply(str(name), int(images.get(name, 0)), str(group))
        for name, group in zip(upright["class"], upright["group"], strict=True)
    ]
    return resolved(params, supply, dict(zip(upright["class"], upright["split"], strict=True)))


def resolved(params: Params, classes: Sequence[ClassSupply], place: Mapping[str, str]) -> Params:
    """`params` without `auto`; `place`: the split of each class.

    Raises DataError if validation or test has fewer than two classes, ParamsError if a setting names protocols that
    `auto` does not give.
    """
    if params.is_resolved:
        return params
    parts = by_split(classes, place)
    splits = [parts["val"], parts["test"]]
    params = dataclasses.replace(params, train=params.train.for_classes(_training_classes(params, parts)))
    if params.is_resolved:
        return params
    try:
        fitted = _fitted(params, splits)
    except DataError as error:
        raise DataError(f"{error}; settings that fit the classes: kshot fit-settings --yes") from error
    gate, train, names = params.gate, params.train, ", ".join(fitted.protocols)
    floors = gate.min_accuracy
    if floors == AUTO:
        floors = {fitted.first: floor_of(fitted.protocols[fitted.first].n_way)}
    elif isinstance(floors, dict) and params.episodes.protocols == AUTO:
        possible = {name: share for name, share in floors.items() if name in fitted.protocols}
        if not possible:
            raise ParamsError(
                f"params.yaml: gate.min_accuracy names {', '.join(floors)}; the classes of this data version fill "
                f"{names}: name one of these, or set gate.min_accuracy: auto"
            )
        floors = possible
    group = fitted.first if gate.group_protocol == AUTO else gate.group_protocol
    validated = fitted.widest if train.validation.protocol == AUTO else train.validation.protocol
    for key, name in (("gate.group_protocol", group), ("train.validation.protocol", validated)):
        if name not in fitted.protocols:
            raise ParamsError(
                f"params.yaml: {key} is {name}; the classes of this data version fill {names}: name one of these, or "
                f"set {key}: auto"
            )
    return dataclasses.replace(
        params,
        episodes=dataclasses.replace(params.episodes, n_query=fitted.n_query, protocols=fitted.protocols),
        gate=dataclasses.replace(gate, min_accuracy=floors, group_protocol=group),
        train=dataclasses.replace(train, validation=dataclasses.replace(train.validation, protocol=validated)),
    )


def written(params: Params) -> dict[str, Any]:
    """The episodes of resolved params as plain values, for a file: n_query, and the protocols by name."""
    protocols = {}
    for name, one in params.episodes.by_name.items():
        values = dataclasses.asdict(one)
        protocols[name] = {key: value for key, value in values.items() if key not in ("by_drawer", "n_query") or value}
    return {"n_query": params.episodes.n_query, "protocols": protocols}


def not_evaluated(params: Params, found: Params) -> list[str]:
    """Notes on protocols that gate.min_accuracy names and that `found`, the resolved params, do not have."""
    floors = params.gate.min_accuracy
    gone = [name for name in floors if name not in found.episodes.by_name] if isinstance(floors, dict) else []
    if not gone:
        return []
    return [
        f"gate.min_accuracy names {', '.join(gone)}: not evaluated, the classes of this data version cannot fill it"
    ]


def _training_classes(params: Params, parts: Mapping[str, Sequence[ClassSupply]]) -> int:
    """The number of classes that training may use; a rotation counts as a class."""
    return sum(len(parts[name]) * params.split.turns(name) for name in params.train.splits)


def _fitted(params: Params, splits: Sequence[Sequence[ClassSupply]]) -> FittedEpisodes:
    """The episodes, with those that params.yaml gives."""
    episodes, method = params.episodes, params.train.method
    labels = (method.n_way or params.train.batch.class_count) if method.name == "mann" else None
    n_query = episodes.n_query if isinstance(episodes.n_query, int) else None
    if episodes.protocols == AUTO:
        return fitted_episodes(splits, n_query=n_query, most_ways=labels)
    protocols = episodes.by_name
    if n_query is None:
        n_query = fitted_queries([one.images for part in splits for one in part], protocols)
    return FittedEpisodes(n_query, protocols, "", "")
