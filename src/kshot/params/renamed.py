"""The table of renamed settings, and functions that convert params to the current names.

All code that reads params uses it: params.yaml, `--params`, `--set`, and the params of older runs.
"""

from collections.abc import Mapping
from typing import Any

from kshot.errors import ParamsError

RENAMED: dict[str, str] = {
    **{
        f"train.{name}": f"train.network.{name}"
        for name in (
            *("backbone", "pretrained", "checkpoint", "checkpoint_md5"),
            *("pickle", "features", "input_size", "adaptation"),
        )
    },
    "train.head_dim": "train.projection.dim",
    "train.head_hidden": "train.projection.hidden",
    "train.l2_normalize": "train.projection.l2_normalize",
    "train.reduce": "train.projection.reduce",
    "train.method": "train.method.name",
    "train.method_arguments": "train.method.arguments",
    "train.n_way": "train.method.n_way",
    "train.k_shot": "train.method.k_shot",
    "train.loss": "train.loss.name",
    **{f"train.{name}": f"train.loss.{name}" for name in ("mining", "margin", "temperature", "distance")},
    "train.loss_arguments": "train.loss.arguments",
    "train.proxy_learning_rate": "train.loss.proxy_learning_rate",
    "train.classes_per_batch": "train.batch.classes",
    "train.images_per_class": "train.batch.images",
    **{f"train.{name}": f"train.batch.{name}" for name in ("classes_of_group", "mine_every", "mine_neighbours")},
    **{f"train.{name}": f"train.optimizer.{name}" for name in ("learning_rate", "warmup_steps", "weight_decay")},
    **{f"train.{name}": f"train.optimizer.{name}" for name in ("layer_decay", "gradient_checkpointing")},
    "train.validate_every": "train.validation.every",
    "train.validation_protocol": "train.validation.protocol",
    "train.patience": "train.validation.patience",
    "evaluate.head": "evaluate.classifier",
}
OLD_OF = {new: old for old, new in RENAMED.items()}
# Renamed values, by the current key.
VALUES: dict[str, dict[str, str]] = {"train.network.adaptation": {"head": "projection"}}


def migrate(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with the current names; `params` itself is not changed.

    Raises ParamsError if a setting is present under its old and its new name.
    """
    found: dict[str, Any] = _copied(params)
    moved = {old: _taken(found, old) for old in old_keys(params)}
    for old, value in moved.items():
        new = RENAMED[old]
        if is_there(found, new):
            raise ParamsError(f"params.yaml: {new} is there by its old name {old} too; remove {old}")
        section, path = found, new.split(".")
        for depth, name in enumerate(path[:-1]):
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise ParamsError(f"params.yaml: {'.'.join(path[: depth + 1])} is {section!r}; needs a section of keys")
        section[new.rpartition(".")[2]] = value
    for key, names in VALUES.items():
        value = at(found, key)
        if isinstance(value, str) and value in names:
            section = at(found, key.rpartition(".")[0])
            section[key.rpartition(".")[2]] = names[value]
    return found


def old_keys(params: Mapping[str, Any]) -> list[str]:
    """The keys in `params` that were renamed.

    `train.method` and `train.loss` were values and are sections now.
    """
    return [
        old
        for old, new in RENAMED.items()
        if is_there(params, old) and not (new.startswith(f"{old}.") and isinstance(at(params, old), Mapping))
    ]


def outdated(params: Mapping[str, Any]) -> list[str]:
    """The settings that `migrate` changes in `params`, as text: "train.margin", "train.network.adaptation: head"."""
    found = {key: at(params, key) for key in VALUES}
    wrong = [f"{key}: {value}" for key, value in found.items() if isinstance(value, str) and value in VALUES[key]]
    return [*old_keys(params), *wrong]


def key_of(dotted: str, value: Any = None) -> str:
    """The current name of a dotted key with `value`, or of a key below one; the key itself if it was not renamed."""
    for old, new in RENAMED.items():
        if dotted == old and not (new.startswith(f"{old}.") and isinstance(value, Mapping)):
            return new
        if dotted.startswith(f"{old}.") and not new.startswith(f"{old}."):
            return new + dotted.removeprefix(old)
    return dotted


def place(params: Mapping[str, Any], dotted: str) -> str:
    """The key of the setting `dotted` (a current name) in `params`: its old name if `params` uses that."""
    for new, old in OLD_OF.items():
        if (dotted == new or dotted.startswith(f"{new}.")) and is_there(params, old):
            section = new.startswith(f"{old}.") and isinstance(at(params, old), Mapping)
            return dotted if section else old + dotted.removeprefix(new)
    return dotted


def recorded(params: Mapping[str, str]) -> dict[str, str]:
    """Flat params of a run, such as {"train.margin": "0.5"}, with the current names."""
    found = {key_of(key): value for key, value in params.items()}
    return {key: VALUES.get(key, {}).get(value, value) for key, value in found.items()}


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Convert dotted keys to the sections of a params file; a value may be a section."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        *sections, name = key.split(".")
        section = found
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = {**section.get(name, {}), **_copied(value)} if isinstance(value, Mapping) else value
    return found


def leaves(params: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Flatten sections to dotted keys; an empty section is a value."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        path = f"{where}.{key}" if where else str(key)
        found |= leaves(value, path) if isinstance(value, Mapping) and value else {path: value}
    return found


def at(params: Any, dotted: str) -> Any:
    """The value at a dotted key, or None."""
    for part in dotted.split("."):
        params = params.get(part) if isinstance(params, Mapping) else None
    return params


def is_there(params: Any, dotted: str) -> bool:
    """Whether `params` has the dotted key, also with the value null."""
    section, _, name = dotted.rpartition(".")
    found = at(params, section) if section else params
    return isinstance(found, Mapping) and name in found


def _taken(params: dict[str, Any], dotted: str) -> Any:
    section, _, name = dotted.rpartition(".")
    return at(params, section).pop(name)


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, Mapping) else value
