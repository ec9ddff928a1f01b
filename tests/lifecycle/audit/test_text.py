"""The text of audits."""

import sys

import pytest

from kshot.lifecycle.audit import text
from kshot.lifecycle.audit.link import VERIFIED, Link


def test_a_link_is_as_wide_as_the_terminal_and_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link("code", VERIFIED, "all files are as the stages read them, " * 5)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert max(map(len, text._link(link))) > 80  # a pipe
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, text._link(link))) <= 60  # a pipe, and a person's wish
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = text._link(link)
    assert max(map(len, lines)) <= 80 and all(line.startswith(" " * 23) for line in lines[1:])
