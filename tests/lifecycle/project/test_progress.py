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


def test_long_work_says_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, clock = Screen(), iter(range(0, 1000, 10))
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("kshot.lifecycle.project.progress.time.monotonic", lambda: float(next(clock)))
    list(progress.counted(range(30), 30, "image"))
    progress.clear()
    drawn = [row for row in screen.getvalue().split("\r\x1b[K") if row]
    assert drawn[2] == "image 3 of 30, about 7 min left ..." and "about 39 s left" not in drawn[2]
    assert drawn[-1].startswith("image 30 of 30, about 10 s left")


def test_elsewhere_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    progress.step("reading")
    assert list(progress.counted([1, 2], 2, "image")) == [1, 2]
    progress.clear()
    assert capsys.readouterr() == ("", "")
