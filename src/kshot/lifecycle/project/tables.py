"""Formats tables and lists of facts for a terminal: cells are wrapped between words, and nothing is cut."""

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence

NARROWEST = 40  # columns; lines for a narrower terminal are not wrapped further
LEAST = 6  # minimum columns of a cell when a row is too wide
GAP = 2
GLUE = "\0"  # a blank that must not be wrapped; textwrap treats it as a letter
BREAK = re.compile(r"(?<=\w/)(?=\w)")  # where a class name such as Fruit/Apple/Pink-Lady may be wrapped


def columns(table: Sequence[dict[str, str]], width: int | None = None) -> list[str]:
    """Return `table` as lines of aligned columns, with the keys as a header.

    width: columns of the terminal; None asks the terminal (COLUMNS, 80 if there is none). In a row that does not fit,
    cells are wrapped, the widest first, a class name after a slash; if even its single words do not fit, each row
    becomes a list of facts.
    """
    if not table:
        return []
    fits = (width or terminal_width()) - GAP
    keys = list(table[0])
    wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in keys}
    words = {key: max(map(_longest_word, [key, *(row[key] for row in table)])) for key in keys}
    least = {key: max(words[key], min(LEAST, wide[key])) for key in keys}
    room = fits - GAP * (len(keys) - 1)
    if sum(least.values()) > room:
        blocks = [facts([(key, row[key]) for key in keys if row[key]], width) for row in table]
        return [line for place, block in enumerate(blocks) for line in (["", *block] if place else block)]
    while sum(wide.values()) > room:
        wide[max(keys, key=lambda key: (wide[key] > least[key], wide[key]))] -= 1
    rows = [{key: key for key in keys}, *table]
    return [line for row in rows for line in _row(row, wide)]


def facts(pairs: Iterable[tuple[str, str]], width: int | None = None) -> list[str]:
    """Return names and values as lines, with the values aligned and wrapped below themselves."""
    found = list(pairs)
    indent = max((len(name) for name, _ in found), default=0) + 2 * GAP
    fits = max(width or terminal_width(), indent + LEAST)
    lines = []
    for name, value in found:
        first, *more = _wrapped(value, fits - indent)
        lines += [f"{' ' * GAP}{name.ljust(indent - GAP)}{first}".rstrip(), *(" " * indent + line for line in more)]
    return lines


def fold(line: str, width: int | None = None, *, hanging: int = 0) -> list[str]:
    """Return `line` as lines of at most `width` columns, with `hanging` blanks before all but the first.

    The first `hanging` columns are not wrapped. A word that is wider than a line is not broken.
    """
    fits = width or terminal_width()
    if len(line) <= fits:
        return [line]
    first, *more = _wrapped(line[hanging:], max(LEAST, fits - hanging))
    return [line[:hanging] + first, *(" " * hanging + one for one in more)]


def terminal_width() -> int:
    """Columns of the terminal, 80 if the output is not a terminal."""
    return max(NARROWEST, shutil.get_terminal_size((80, 24)).columns)


def counted(number: int, thing: str) -> str:
    """Number and noun: "1 run", "1,004 runs", "2 classes"."""
    return f"{number:,} {thing}{'' if number == 1 else 'es' if thing.endswith('s') else 's'}"


def _row(row: dict[str, str], wide: dict[str, int]) -> list[str]:
    cells = {key: _wrapped(row[key], wide[key], breaks=True) for key in wide}
    height = max(len(lines) for lines in cells.values())
    gap = " " * GAP
    return [
        (
            gap
            + gap.join((lines[number] if number < len(lines) else "").ljust(wide[key]) for key, lines in cells.items())
        ).rstrip()
        for number in range(height)
    ]


def _wrapped(text: str, width: int, *, breaks: bool = False) -> list[str]:
    if len(text) <= width:
        return [text]  # unchanged: a figure's own blanks align it
    wrapped = []
    for line in textwrap.wrap(_glued(text), width, break_long_words=False, break_on_hyphens=False):
        wrapped += _parts(line, width) if breaks and len(line) > width else [line]
    return [line.replace(GLUE, " ") for line in wrapped] or [""]


def _parts(word: str, width: int) -> list[str]:
    """A class name that is wider than `width` as lines that end after a slash."""
    lines = [""]
    for part in BREAK.split(word):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _longest_word(text: str) -> int:
    return max(len(part) for word in _glued(text).split(" ") for part in BREAK.split(word))


def _glued(text: str) -> str:
    """`text` with non-breaking blanks within an interval, and before a unit."""
    glued = re.sub(r"\[[^][]{1,30}\]", lambda found: found[0].replace(" ", GLUE), text)
    glued = re.sub(r"(?<=\d{4}-\d\d-\d\d) (?=\d\d:\d\d)", GLUE, glued)
    return re.sub(r"(?<=\d) (?=(%|pp|ms|s|min|h|d|GB|MB)(?![\w]))", GLUE, glued)
