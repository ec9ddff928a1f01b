"""The settings of this repository with changes, for tests of what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params.schema import params_from
from tests.short_names import set_train

DEFAULTS = Path(__file__).parents[2] / "params.yaml"
TIMM = {"backbone": "tf_efficientnet_lite0", "checkpoint": "weights.safetensors"}


def defaults() -> dict[str, Any]:
    mapping: dict[str, Any] = yaml.safe_load(DEFAULTS.read_text())
    return mapping


def changed(path: str, value: object) -> dict[str, Any]:
    """The defaults with one dotted key changed; ... removes it."""
    mapping = defaults()
    *sections, last = path.split(".")
    inner = mapping
    for section in sections:
        inner = inner[section]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return mapping


def trained_with(**changes: object) -> dict[str, Any]:
    """The defaults with settings of section train, by their short names."""
    mapping = defaults()
    set_train(mapping, **changes)
    return mapping


def refused(mapping: dict[str, Any], message: str) -> None:
    """Assert that the settings are refused in one line that matches `message`."""
    with pytest.raises(ParamsError, match=message) as caught:
        params_from(mapping)
    assert "\n" not in str(caught.value)
