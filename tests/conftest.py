"""Protects every test from environment variables that another test left behind."""

import os
import sys
from collections.abc import Iterator

import pytest

from kshot import plugins


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Put the environment back: MLflow writes its store's address there whenever it is told one."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No project's code counts when a test begins; its own, and the modules of its plug-ins, are gone afterwards."""
    monkeypatch.setattr(plugins, "_project", plugins._Project())
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("shop", "extra", "kshot_extra"):
            del sys.modules[name]
