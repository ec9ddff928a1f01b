"""`kshot plan` from a person's view."""

from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.data import data_versions
from tests.lifecycle import raw_project


def test_before_the_first_run_no_time_is_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(root)
    data_versions.add(root, str(raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 2})))
    assert cli.main(["plan"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1].startswith(
        "first run: nothing has run here yet, so its time is not known; `kshot retrain` shows it"
    )
    assert not any("~" in line for line in told)
