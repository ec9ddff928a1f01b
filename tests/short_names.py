"""Settings of section train by one word, as `kshot.train` takes them: margin is train.loss.margin."""

import dataclasses
from typing import Any

from kshot.estimator.train_settings import SHIPPED, places
from kshot.params.reader import read_mapping
from kshot.params.sections.train import Train

PLACES = places(read_mapping(SHIPPED))


def set_train(mapping: dict[str, Any], **changes: Any) -> None:
    """Change settings of section train in the content of a params.yaml."""
    for word, value in changes.items():
        *sections, key = PLACES.get(word, ("train", word))
        section = mapping
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value


def train_with(train: Train, **changes: Any) -> Train:
    """`train` with some of its settings changed, all at once."""
    parts: dict[str, dict[str, Any]] = {}
    for word, value in changes.items():
        _, *sections, key = PLACES.get(word, ("train", word))
        parts.setdefault(".".join(sections), {})[key] = value
    top = parts.pop("", {})
    changed = {name: dataclasses.replace(getattr(train, name), **values) for name, values in parts.items()}
    return dataclasses.replace(train, **top, **changed)
