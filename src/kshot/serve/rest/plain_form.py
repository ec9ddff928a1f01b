"""Reads the form of a small request at once, if it has the usual form of browsers and HTTP clients.

The general parser reads a body part by part through several layers, which for one small image costs as much as
decoding it. What this reader does not know at first sight is left to the general one, which also words the errors.
"""

import re

MOST_BYTES = 2**20
BOUNDARY = re.compile(r'multipart/form-data; ?boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70}?)"?', re.IGNORECASE)
# Without escapes: a backslash, and a percent sign, which browsers put for a quotation mark.
DISPOSITION = re.compile(
    rb'content-disposition: form-data; name="([^"\\%\r\n]*)"(?:; filename="([^"\\%\r\n]*)")?', re.IGNORECASE
)
KIND = re.compile(rb"content-(?:type|length): [^\r\n]*", re.IGNORECASE)
CHARSET = re.compile(rb"charset", re.IGNORECASE)

# Of each part: its name, its file's name (None for a field), its content.
Parts = list[tuple[str, str | None, bytes]]


def plain_form(content: bytes, content_type: str) -> Parts | None:
    """The parts of a multipart body, in order; None for one that needs the general parser.

    >>> plain_form(b'--b\\r\\nContent-Disposition: form-data; name="next"\\r\\n\\r\\n3\\r\\n--b--\\r\\n',
    ...            "multipart/form-data; boundary=b")
    [('next', None, b'3')]
    """
    found = BOUNDARY.fullmatch(content_type)
    if found is None or len(content) > MOST_BYTES:
        return None
    delimiter = b"\r\n--" + found[1].encode()
    first, *parts = (b"\r\n" + content).split(delimiter)
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        return None
    read: Parts = []
    for part in parts:
        head, ended, value = part.partition(b"\r\n\r\n")
        # An empty first line: what follows a delimiter that is longer than ours is no part of this form.
        start, *lines = head.split(b"\r\n")
        if start or not ended or not lines:
            return None
        named = [match for line in lines if (match := DISPOSITION.fullmatch(line)) is not None]
        others = [line for line in lines if KIND.fullmatch(line) is not None and CHARSET.search(line) is None]
        if len(named) != 1 or len(others) != len(lines) - 1:
            return None
        name, file = named[0].groups()
        try:
            read.append((name.decode(), None if file is None else file.decode(), value))
        except UnicodeDecodeError:
            return None
    return read
