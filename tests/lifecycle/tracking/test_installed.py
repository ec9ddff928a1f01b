"""The kshot in use: a wheel as installed, a wheel edited since, or a clone."""

from pathlib import Path

import pytest

from kshot.lifecycle.tracking import installed
from kshot.lifecycle.tracking.installed import EDITED, SOURCE, WHEEL, Package
from tests.lifecycle.installed_wheel import install

FILES = {"kshot/__init__.py": "", "kshot/errors.py": "one = 1\n"}


def test_a_wheel_is_told_by_its_record_and_an_edit_of_a_file_that_counts_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = install(tmp_path, monkeypatch, "3.4.5", FILES)
    found = installed.package(["kshot/errors.py", "shop/loss.py"])
    assert found == Package("3.4.5", WHEEL)
    assert found.tags() == {"kshot.version": "3.4.5", "kshot.installed": "wheel"}
    (place / "kshot/errors.py").write_text("one = 2\n")
    assert installed.package(["kshot/errors.py"]) == Package("3.4.5", EDITED)
    assert installed.package(["kshot/__init__.py"]) == Package("3.4.5", WHEEL)
    assert installed.package(["kshot/gone.py"]).installed == EDITED


def test_a_clone_beside_an_installed_wheel_is_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kshot

    clone = kshot.__file__
    install(tmp_path, monkeypatch, "3.4.5", FILES)
    monkeypatch.setattr(kshot, "__file__", clone)
    assert installed.package(["kshot/errors.py"]) == Package("3.4.5", SOURCE)
