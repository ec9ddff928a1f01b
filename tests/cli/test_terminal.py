"""Output in a real terminal: no word is broken, no line is wider than it, and colour appears only where allowed."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kshot.cli.terminal import HANGING, Lines, has_colour
from kshot.lifecycle.pipeline import schedule
from tests.flows.project import environment
from tests.lifecycle import raw_project
from tests.lifecycle.pipeline.test_schedule import ALL

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def typed(root: Path, width: int, *arguments: str, **names: str) -> str:
    """What `kshot ...` writes to a terminal of `width` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    known = {key: value for key, value in environment().items() if key not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-m", "kshot.cli", *arguments]
    process = subprocess.Popen(
        command, cwd=root, env={**known, "TERM": "xterm", **names}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    read = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        read += part
    os.close(ours)
    process.wait(60)
    return read.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a schedule and a data version whose names are long."""
    made = raw_project.make(tmp_path_factory.mktemp("terminal") / "root")
    schedule.write(made, ALL)
    (made / "data").mkdir(exist_ok=True)
    (made / "data/versions.jsonl").write_text(
        '{"md5": "0123456789abcdef0123456789abcdef", "added": "2026-11-21T10:00:00", "images": 123456, '
        '"classes": 1234, '
        '"files": 1, "size": 1, "source": "x", "note": "the second season of the shop floor, cleaned by hand, all of '
        'the classes that the customers asked for"}\n'
    )
    return made


@pytest.mark.parametrize("verb", [[], ["schedule", "list"], ["data", "versions"], ["doctor"]], ids=str)
def test_no_line_is_wider_and_no_word_is_broken(root: Path, verb: list[str]) -> None:
    wide = ESCAPE.sub("", typed(root, 400, *verb)).split()
    for width in (80, 60):
        narrow = ESCAPE.sub("", typed(root, width, *verb))
        assert wide and sorted(wide) == sorted(narrow.split())
        for line in narrow.splitlines():
            # Only a single word, such as a path, may be wider: it stands alone behind its name.
            assert len(line) <= width or " " not in HANGING.sub("", line).strip(), line


def test_an_error_is_red_on_a_terminal_and_not_with_no_color(root: Path) -> None:
    assert "\x1b[31mkshot: error:\x1b[0m" in typed(root, 80, "retrian")
    assert "\x1b" not in typed(root, 80, "retrian", NO_COLOR="1")
    assert "\x1b" not in typed(root, 80, "retrian", TERM="dumb")


@pytest.mark.parametrize(("names", "colour"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_no_color_is_kept(names: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert has_colour() is colour


def test_whole_lines_are_folded_and_progress_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    under = io.StringIO()
    lines = Lines(under, colour=False)
    print("! runs       one two three four five six seven", file=lines)  # type: ignore[call-overload]
    lines.write("\r\x1b[K" + "x" * 60)
    assert under.getvalue() == "! runs       one two three four five six\n             seven\n\r\x1b[K" + "x" * 60
    program = '  "reasons": "one two three four five six seven eight nine",\n'
    lines.write("\n" + program)
    assert under.getvalue().endswith(program)
    lines.write("begun")
    lines.flush()
    assert under.getvalue().endswith("begun")
