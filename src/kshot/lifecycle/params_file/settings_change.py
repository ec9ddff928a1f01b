"""A changed setting, the differences of two mappings, and their text."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from kshot.lifecycle.project.tables import facts

# Mappings with names that a person chooses: an overlay replaces them as a whole, or nothing could ever be removed.
WHOLE = ("episodes.protocols", "train.method.arguments", "train.loss.arguments", "gate.min_accuracy")


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting that changed; `before` is None for a key that did not exist."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {format_value(self.before)} -> {format_value(self.after)}"


def changes_text(changes: Sequence[Change]) -> list[str]:
    """The changes as aligned lines of key and values; changes of one mapping of WHOLE are on one line, by name."""
    lines: dict[str, str] = {}
    for one in changes:
        whole = next((whole for whole in WHOLE if one.key.startswith(f"{whole}.")), "")
        if not whole:
            lines[one.key] = f"{format_value(one.before)} -> {format_value(one.after)}"
        elif whole not in lines:
            below = [other for other in changes if other.key.startswith(f"{whole}.")]
            lines[whole] = _names_text([dataclasses.replace(o, key=o.key.removeprefix(f"{whole}.")) for o in below])
    return facts(lines.items())


def _names_text(changes: Sequence[Change]) -> str:
    """Names that were removed, added and changed: "without 5w1s; new 2w1s"; values if they are not sections."""
    gone = [one.key for one in changes if one.after is None]
    new = [
        one.key if isinstance(one.after, Mapping) else f"{one.key} {format_value(one.after)}"
        for one in changes
        if one.before is None
    ]
    other = [
        f"{one.key} {format_value(one.before)} -> {format_value(one.after)}"
        for one in changes
        if one.before is not None and one.after is not None
    ]
    parts = (("without ", gone), ("new ", new), ("", other))
    return "; ".join(f"{how}{', '.join(names)}" for how, names in parts if names)


def differences(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The dotted keys whose values differ, each with the old and the new value; None for a key missing on one side."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif old != new or type(old) is not type(new):
        yield where, (old, new)


def format_value(value: Any) -> str:
    """A value on one line, in YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=4096).removesuffix("\n").removesuffix("...").strip()
