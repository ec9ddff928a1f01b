"""Standard output and error on a terminal: wraps long lines between words, and colours a few words.

Output to a pipe or a file is unchanged. NO_COLOR and TERM=dumb turn colours off.
"""

import os
import re
import sys
from typing import TextIO, cast

from kshot.lifecycle.project.tables import fold

RED, GREEN, YELLOW, BOLD, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
COLOURS = (
    (re.compile(r"^kshot: error:"), BOLD + RED),
    (re.compile(r"^!(?= )"), BOLD + RED),
    (re.compile(r"\b(?:BROKEN|DRIFTED)\b|^drifted:"), BOLD + RED),
    (re.compile(r"^(?:note|warning):"), YELLOW),
    (re.compile(r"^(?:nothing is wrong|not drifted)\b"), GREEN),
)
# A name, a time or a marker, two blanks, and its value: continuation lines are aligned with the value.
HANGING = re.compile(r"^(?:[!-] )?\s*\S+(?: \S+)?(?:  +)(?=\S)")
JSON = re.compile(r'\s*["{}\[\]]')  # of --json: lines must stay whole to be copied
DEEPEST = 32  # maximum columns of this indent


class Lines:
    """A text stream that wraps and colours whole lines before `stream`; everything else passes unchanged."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream, self._colour, self._begun = stream, colour, ""

    def write(self, text: str) -> int:
        """Write the lines that `text` completes; text that moves the cursor is written at once."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._stream.write(self._shown(line) + "\n")
        if "\r" in self._begun or "\x1b" in self._begun:
            self._pass_on()
        return len(text)

    def flush(self) -> None:
        """Write the incomplete line too, because the caller wants it shown now."""
        self._pass_on()
        self._stream.flush()

    def writelines(self, lines: list[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _pass_on(self) -> None:
        self._stream.write(self._begun)
        self._begun = ""

    def _shown(self, line: str) -> str:
        if "\r" in line or "\x1b" in line or JSON.match(line):
            return line
        prefix = HANGING.match(line)
        indent = prefix[0] if prefix and len(prefix[0]) <= DEEPEST else line[: len(line) - len(line.lstrip())]
        found = fold(line, hanging=len(indent))
        return "\n".join(map(_coloured, found)) if self._colour else "\n".join(found)


def install() -> None:
    """Wrap and colour this process's standard output and error if they are terminals."""
    if sys.stdout.isatty():
        sys.stdout = cast(TextIO, Lines(sys.stdout, colour=has_colour()))
    if sys.stderr.isatty():
        sys.stderr = cast(TextIO, Lines(sys.stderr, colour=has_colour()))


def has_colour() -> bool:
    """Whether colours may be used on a terminal (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")


def _coloured(line: str) -> str:
    for pattern, colour in COLOURS:
        line = pattern.sub(lambda found, colour=colour: f"{colour}{found[0]}{PLAIN}", line)  # type: ignore[misc]
    return line
