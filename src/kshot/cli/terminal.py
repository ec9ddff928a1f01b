"""Standard output and error on a terminal: long lines are folded between words, and a few words have a colour.

What is no terminal, a pipe or a file, gets every line as it was written. NO_COLOR and TERM=dumb keep colours away.
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
# A name, a time or a mark and its value, two blanks between them: later lines stand below the value.
HANGING = re.compile(r"^(?:[!-] )?\s*\S+(?: \S+)?(?:  +)(?=\S)")
JSON = re.compile(r'\s*["{}\[\]]')  # of --json: whoever copies it needs it whole
DEEPEST = 32  # columns of such an indent


class Lines:
    """A text stream that folds and colours whole lines on their way to `stream`; all else passes as it is."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream, self._colour, self._begun = stream, colour, ""

    def write(self, text: str) -> int:
        """Write the lines that `text` completes, and what moves the cursor at once."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._stream.write(self._shown(line) + "\n")
        if "\r" in self._begun or "\x1b" in self._begun:
            self._pass_on()
        return len(text)

    def flush(self) -> None:
        """Write the begun line too: somebody waits for it."""
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
    """Let this process write its lines so where standard output and error are terminals."""
    if sys.stdout.isatty():
        sys.stdout = cast(TextIO, Lines(sys.stdout, colour=has_colour()))
    if sys.stderr.isatty():
        sys.stderr = cast(TextIO, Lines(sys.stderr, colour=has_colour()))


def has_colour() -> bool:
    """Whether a terminal may be written to in colour (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")


def _coloured(line: str) -> str:
    for pattern, colour in COLOURS:
        line = pattern.sub(lambda found, colour=colour: f"{colour}{found[0]}{PLAIN}", line)  # type: ignore[misc]
    return line
