"""Turn a docstring (plain text with `code`, bullets, fields and doctests) into reStructuredText, which Sphinx reads."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
# Characters that mean something else to reStructuredText: emphasis, a substitution, a reference, an escape.
MARKUP = re.compile(r"[\\*|`]|(?<=\w)_(?!\w)")
# A line that begins an item: a bullet, or a field such as `steps: ...` and `n_way, k_shot: ...`.
ITEM = re.compile(r"- |`?\w+`?(, `?\w+`?)*: ")


def restructured(lines: Sequence[str]) -> list[str]:
    """The docstring `lines` as reStructuredText: text escaped, examples and indented blocks as they are.

    >>> restructured(["Return a * b.", "", "steps: how many", "    of them"])
    ['Return a \\\\* b.', '', '- steps: how many of them', '']
    """
    return [line for block in _blocks(lines) for line in (*_block(block), "")]


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Paragraphs; those that are indented and follow each other are one block."""
    block: list[str] = []
    for line in [*textwrap.dedent("\n".join(lines)).split("\n"), ""]:
        if line.strip():
            if block and not block[-1].strip() and not (block[0][0] == " " and line[0] == " "):
                yield _trimmed(block)
                block = []
            block.append(line)
        elif block:
            block.append("")
    if block:
        yield _trimmed(block)


def _trimmed(block: list[str]) -> list[str]:
    while not block[-1].strip():
        block.pop()
    return block


def _block(block: list[str]) -> Iterable[str]:
    if block[0].startswith(">>> "):
        return block
    if block[0].startswith(" "):
        return ["::", "", *textwrap.indent(textwrap.dedent("\n".join(block)), "    ").split("\n")]
    return _items(block)


def _items(block: list[str]) -> Iterator[str]:
    """Text, and a list of the items in it; a literal block after a line that ends with a colon."""
    text: list[str] = []
    listed = False
    for place, line in enumerate(block):
        if line.startswith(">>> "):  # an example right behind the text
            yield from _text(text, listed)
            yield from ("", *block[place:])
            return
        if ITEM.match(line) and not (text and text[-1].startswith(" ") and not listed):
            yield from _text(text, listed)
            if text and not listed:
                yield ""
            text, listed = [line], True
        elif listed and not line.startswith(" "):  # the list has ended
            yield from (*_text(text, listed), "")
            text, listed = [line], False
        else:
            text.append(line)
    yield from _text(text, listed)


def _text(lines: list[str], listed: bool) -> Iterator[str]:
    if not lines:
        return
    joined = " ".join(line.strip() for line in lines)
    yield f"- {_escaped(joined.removeprefix('- '))}" if listed else _escaped(joined)


def _escaped(text: str) -> str:
    parts, end = [], 0
    for found in CODE.finditer(text):
        before = text[end : found.start()]
        after = text[found.end() : found.end() + 1]
        # Code that touches a word needs an empty separator.
        parts += [
            MARKUP.sub(r"\\\g<0>", before),
            "\\ " if before and not before[-1].isspace() else "",
            f"``{found[2].strip()}``",
            "\\ " if after and not after.isspace() else "",
        ]
        end = found.end()
    return "".join((*parts, MARKUP.sub(r"\\\g<0>", text[end:])))
