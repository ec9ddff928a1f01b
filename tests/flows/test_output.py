"""Terminal output: kshot's own lines, a progress bar drawn in place, and rarely logged elsewhere."""

import io
import logging
from pathlib import Path

import pytest

from kshot.flows import output, server


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(text: str, kind: str | None) -> logging.LogRecord:
    made = logging.LogRecord("prefect.flow_runs", logging.INFO, "", 0, text, None, None)
    if kind is not None:
        setattr(made, output.MARK, kind)
    return made


def test_prefects_own_remarks_are_not_shown() -> None:
    with output.on_terminal(io.StringIO()) as terminal:
        terminal.emit(record("Beginning flow run", None))
        terminal.emit(record("ingest    done", "line"))
    assert terminal.stream.getvalue() == "ingest    done\n"  # type: ignore[attr-defined]


def test_on_a_terminal_a_line_takes_the_place_of_the_bar() -> None:
    with output.on_terminal(Screen()) as terminal:
        terminal.draw("10%")
        terminal.emit(record("10%", "progress"))  # for the log only: it is drawn already
        terminal.emit(record("done", "line"))
        terminal.draw("5%")
    assert terminal.stream.getvalue() == "\r\x1b[K10%\r\x1b[Kdone\n\r\x1b[K5%\r\x1b[K"  # type: ignore[attr-defined]


def test_a_bar_never_takes_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "8")
    terminal = output.Terminal(Screen())
    terminal.draw("0123456789")
    assert terminal.stream.getvalue() == "\r\x1b[K0123456"  # type: ignore[attr-defined]


def test_elsewhere_progress_is_said_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    now = [0.0]
    monkeypatch.setattr(output, "say", lambda text, kind="line": said.append((text, kind)))
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    hear = output.listener("train")
    for second in range(0, 25):
        now[0] = float(second)
        hear(f"train: {second}", True)
    hear("over", False)
    assert said == [("train     10", "progress"), ("train     20", "progress"), ("train     over", "line")]


def test_a_named_prefect_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert server.launch(tmp_path) is None
