"""What a retraining says: to the flow run's log always, and to the terminal where a person watches."""

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
MARK = "said_by_kshot"  # on a log record: meant for the person too, unlike Prefect's own remarks


class Terminal(logging.Handler):
    """Writes what kshot says to `stream`, and draws progress in place if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.INFO)
        self.stream = stream
        self.draws = stream.isatty()
        self.drawn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a progress bar that stands there gives way."""
        if getattr(record, MARK, False) and not (self.draws and getattr(record, MARK) == "progress"):
            self.clear()
            print(record.getMessage(), file=self.stream, flush=True)

    def draw(self, text: str) -> None:
        """Draw a piece of progress over the last one, cut to one row: a second row could not be drawn over."""
        row = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{row}", end="", file=self.stream, flush=True)
        self.drawn = True

    def clear(self) -> None:
        """Remove the progress that stands there."""
        if self.drawn:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
        self.drawn = False


@contextlib.contextmanager
def on_terminal(stream: TextIO | None = None) -> Iterator[Terminal]:
    """Show what kshot says on `stream` (default: standard output) while the block runs."""
    terminal = Terminal(sys.stdout if stream is None else stream)
    logger = logging.getLogger("prefect")
    logger.addHandler(terminal)
    try:
        yield terminal
    finally:
        terminal.clear()
        logger.removeHandler(terminal)


def say(text: str, kind: str = "line") -> None:
    """Say `text` in the log of the flow or task that runs now. It may have several lines."""
    get_run_logger().info(text, extra={MARK: kind})


def listener(name: str) -> OnOutput:
    """Return what hears stage `name`: lines are said; progress is drawn on a terminal and said every 10 s."""
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
