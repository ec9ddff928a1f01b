"""The examples in the docstrings of the losses, the minings and the classifiers print what they say."""

import doctest
import importlib
import pkgutil

import pytest

from kshot import classifiers, losses, mining

MODULES = sorted(
    f"{package.__name__}.{module.name}"
    for package in (classifiers, losses, mining)
    for module in pkgutil.iter_modules(package.__path__)
)


@pytest.mark.parametrize("name", ["kshot.distances", "kshot.prototypes", *MODULES])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_loss_has_an_example() -> None:
    assert [name for name in losses.__all__ if ">>>" not in getattr(losses, name).__doc__] == []
