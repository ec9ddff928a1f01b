"""Imports under `permanent_imports`: the collector rests meanwhile, and leaves alone what they created."""

import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot.lifecycle.project.permanent_imports import permanent_imports


@pytest.fixture(autouse=True)
def collected_again() -> Iterator[None]:
    yield
    gc.enable()  # what was set aside stays so, as `tests/conftest.py` wants it for the imports of all test files


def test_what_was_imported_is_not_scanned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_by_import.py").write_text("made = [[] for _ in range(5000)]\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = gc.get_freeze_count()
    with permanent_imports():
        importlib.import_module("made_by_import")
        assert not gc.isenabled()
    monkeypatch.delitem(sys.modules, "made_by_import")
    assert gc.isenabled() and gc.get_freeze_count() >= before + 5000


def test_nothing_is_set_aside_where_nothing_new_was_imported() -> None:
    before = gc.get_freeze_count()
    with permanent_imports():
        import json  # noqa: F401
    assert gc.get_freeze_count() <= before  # objects that were set aside earlier may be freed meanwhile


def test_a_collector_that_was_off_stays_off_and_one_that_was_on_comes_back_after_an_error() -> None:
    gc.disable()
    with permanent_imports():
        pass
    assert not gc.isenabled()
    gc.enable()
    with pytest.raises(ModuleNotFoundError), permanent_imports():
        importlib.import_module("no_such_package_anywhere")
    assert gc.isenabled()
