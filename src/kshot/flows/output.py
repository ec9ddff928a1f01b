"""Messages of a retraining: always to the flow run's log, and to the terminal if there is one."""

import contextlib
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from prefect.logging import get_run_logger

from kshot.lifecycle.project.processes import OnOutput

PROGRESS_EVERY_S = 10.0
MARK = "said_by_kshot"  # attribute of a log record: also meant for the user, unlike Prefect's own messages


class Terminal(logging.Handler):
    """Writes kshot's messages to `stream`, and draws progress in place if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.INFO)
        self.stream = stream
        self.draws = stream.isatty()
        self.drawn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, after removing a progress bar."""
        if getattr(record, MARK, False) and not (self.draws and getattr(record, MARK) == "progress"):
            self.clear()
            print(record.getMessage(), file=self.stream, flush=True)

    def draw(self, text: str) -> None:
        """Draw progress over the previous one, cut to one row: a second row could not be overwritten."""
        row = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{row}", end="", file=self.stream, flush=True)
        self.drawn = True

    def clear(self) -> None:
        """Remove the progress bar."""
        if self.drawn:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
        self.drawn = False


@contextlib.contextmanager
def on_terminal(stream: TextIO | None = None) -> Iterator[Terminal]:
    """Show kshot's messages on `stream` (default: standard output) inside the block."""
    terminal = Terminal(sys.stdout if stream is None else stream)
    logger = logging.getLogger("prefect")
    logger.addHandler(terminal)
    try:
        yield terminal
    finally:
        terminal.clear()
        logger.removeHandler(terminal)


def say(text: str, kind: str = "line") -> None:
    """Write `text`, of one line or several, to the log of the current flow or task."""
    get_run_logger().info(text, extra={MARK: kind})


def listener(name: str) -> OnOutput:
    """Return the listener of stage `name`: it logs lines, draws progress on a terminal and logs progress every 10 s."""
    said_at = time.monotonic()

    def hear(text: str, progress: bool) -> None:
        nonlocal said_at
        line = f"{name:<9} {text.strip().removeprefix(f'{name}: ').lstrip()}"
        if not progress:
            say(line)
            return
        for handler in logging.getLogger("prefect").handlers:
            if isinstance(handler, Terminal) and handler.draws:
                handler.draw(line)
        if time.monotonic() - said_at >= PROGRESS_EVERY_S:
            said_at = time.monotonic()
            say(line, "progress")

    return hear
