"""Progress is drawn on a terminal, in one row, and removed; elsewhere nothing is written."""

import io

import pytest

from kshot.lifecycle.project import progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_each_step_is_drawn_over_the_last_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "40")
    progress.step("reading " + "x" * 60)
    assert list(progress.counted("abc", 3, "image")) == ["a", "b", "c"]
    progress.clear()
    progress.clear()
    drawn = screen.getvalue().split("\r\x1b[K")
    assert len(drawn[1]) == 39 and drawn[2] == "image 1 of 3 ..." and drawn[-1] == "" and "\n" not in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K") and screen.getvalue().count("\r\x1b[K") == 3


def test_elsewhere_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    progress.step("reading")
    assert list(progress.counted([1, 2], 2, "image")) == [1, 2]
    progress.clear()
    assert capsys.readouterr() == ("", "")
