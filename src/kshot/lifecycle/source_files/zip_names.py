"""Decodes the names in a zip, which older programs wrote in their computer's code page without naming it."""

import re
import struct
import zipfile
from collections.abc import Iterable

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # Info-ZIP's extra field: the name in UTF-8
# In a Japanese name no kanji is next to a Latin letter; in cp437, as in "Vögel", an accented letter is among letters.
JAPANESE = re.compile(r"[\x20-\x7e\u3000-\u30ff\u3400-\u9fff\uff00-\uff9f]*")
MIXED = re.compile(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]")
KANA = re.compile(r"[\u3041-\u30fe]")


def zip_names(entries: Iterable[zipfile.ZipInfo]) -> tuple[list[str], list[str]]:
    """The name of each entry, with forward slashes, and a note if a code page had to be guessed.

    A name is UTF-8 if the entry says so or its bytes are valid UTF-8; otherwise it is cp932 if the whole archive reads
    as Japanese, else cp437.
    """
    entries = list(entries)
    found: list[str | bytes] = [_own_name(entry) for entry in entries]
    page = _code_page([name for name in found if isinstance(name, bytes)])
    names = [name if isinstance(name, str) else name.decode(page, "surrogateescape") for name in found]
    # Only after decoding: the second byte of a Japanese character may equal a backslash.
    names = [name.replace("\\", "/") for name in names]
    guessed = next((name for name, own in zip(names, found, strict=True) if isinstance(own, bytes)), None)
    if guessed is None:
        return names, []
    language = "Japanese" if page == "cp932" else "DOS"
    return names, [f"names in this zip are no Unicode; read as {page} ({language}), such as {guessed}"]


def _own_name(entry: zipfile.ZipInfo) -> str | bytes:
    """The name if its encoding is certain, else its bytes."""
    if entry.flag_bits & UTF8_FLAG:
        return entry.orig_filename
    unicode = _unicode_path(entry.extra)
    if unicode is not None:
        return unicode
    raw = entry.orig_filename.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _unicode_path(extra: bytes) -> str | None:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == UNICODE_PATH and size > 5:
            try:
                return extra[9 : 4 + size].decode("utf-8")  # after a version and the checksum of the other name
            except UnicodeDecodeError:
                return None
        extra = extra[4 + size :]
    return None


def _code_page(names: list[bytes]) -> str:
    try:
        read = [name.decode("cp932") for name in names]
    except UnicodeDecodeError:
        return "cp437"
    japanese = all(JAPANESE.fullmatch(name) for name in read)
    plain = any(KANA.search(name) for name in read) or not any(MIXED.search(name) for name in read)
    return "cp932" if japanese and plain else "cp437"
