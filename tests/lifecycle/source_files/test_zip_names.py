"""Names in a zip: UTF-8 with or without its flag, else the code page that fits."""

import zipfile

import pytest

from kshot.lifecycle.source_files.zip_names import zip_names


def entry(name: bytes, extra: bytes = b"") -> zipfile.ZipInfo:
    """An entry as zipfile reads it where the flag of UTF-8 is not set."""
    made = zipfile.ZipInfo(name.decode("cp437"))
    made.orig_filename, made.extra, made.flag_bits = name.decode("cp437"), extra, 0
    return made


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Vögel/Grün ß/1.png", "utf-8"),
        ("鳥/ქართული/1.png", "utf-8"),
        ("Vögel/Grün/ä1.png", "cp437"),
        ("forêt/été/1.png", "cp437"),
        ("表示/ソート/1.png", "cp932"),
        ("鳥/雀/1.png", "cp932"),
    ],
)
def test_a_name_without_a_flag_is_read_in_what_it_was_written_in(name: str, encoding: str) -> None:
    names, notes = zip_names([entry(name.encode(encoding)), entry(b"plain/2.png")])
    assert names == [name, "plain/2.png"]
    assert [encoding in note for note in notes] == [True] * (encoding != "utf-8")


def test_the_flag_and_the_extra_field_of_unicode_are_believed() -> None:
    flagged = zipfile.ZipInfo("é.png")
    flagged.flag_bits = 0x800
    unicode = "ü.png".encode()
    extra = b"\x99\x99\x01\x00x" + b"\x75\x70" + (len(unicode) + 5).to_bytes(2, "little") + b"\x01crc." + unicode
    assert zip_names([flagged, entry(b"\x81.png", extra)]) == (["é.png", "ü.png"], [])


def test_windowss_backslashes_are_slashes() -> None:
    assert zip_names([entry(b"birds\\robin\\1.png")])[0] == ["birds/robin/1.png"]
