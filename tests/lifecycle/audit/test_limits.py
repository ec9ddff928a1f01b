"""The checks that an audit does not make are printed, and the documentation page has the same list."""

from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.audit.limits import LIMITS, limits_text
from tests.lifecycle.finished_project import REPOSITORY


def test_the_documentation_has_the_list() -> None:
    page = " ".join((REPOSITORY / "docs/audit.md").read_text(encoding="utf-8").split())
    assert [text for text in LIMITS.values() if text not in page] == []


def test_the_verb_prints_the_list_within_the_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["audit", "--limits"]) == 0
    told = capsys.readouterr().out
    assert told.strip() == limits_text(80) and max(map(len, told.splitlines())) <= 80
    assert " ".join(told.split()).count(" - ") >= len(LIMITS) - 1
