"""`kshot plan` from a person's view."""

import re
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.data.changes import add_version
from tests.lifecycle import raw_project


def test_before_the_first_run_no_stage_has_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(root)
    add_version.add(root, str(raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 2})))
    assert cli.main(["plan"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert re.fullmatch("first run: about .* for 4 images, by timing 4 of them here", told[-1])
    assert not any("~" in line for line in told)


def test_settings_that_a_retraining_would_refuse_are_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(root)
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("ingest:", "ingset:"))
    assert cli.main(["plan"]) == 2
    assert "unknown key ingset; did you mean ingest?" in capsys.readouterr().err
