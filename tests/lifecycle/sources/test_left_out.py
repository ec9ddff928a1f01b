"""The message about files that were left out, and when a person has to agree."""

from pathlib import Path

import pytest

from kshot.lifecycle.sources.left_out import ARCHIVE, LeftOut, consent_needed, lines, of_files, summary

HEIC = [LeftOut(Path(f"phone/{number}.HEIC"), "HEIC") for number in range(6)]
SYSTEM = [LeftOut(Path(f"a/@eaDir/{number}.png"), "of a NAS", counts=False) for number in range(12)]


def test_files_are_counted_by_reason_and_ending_with_an_example() -> None:
    cut = LeftOut(Path("a/99"), "does not decode", "image file is truncated")
    assert lines(80, [*HEIC, cut], ["phone"]) == [
        "left out 7 of 80 files:",
        "  6 .HEIC: HEIC",
        "    such as phone/0.HEIC",
        "  1 without ending: does not decode",
        "    a/99 (image file is truncated)",
        "class phone comes out empty",
    ]
    assert lines(80, [], []) == []


def test_lines_fit_80_columns_and_nothing_in_them_moves_the_cursor() -> None:
    odd = LeftOut(Path("a\x1b[2J/b"), "a reason " * 20, "a detail " * 20)
    found = lines(1, [odd], [f"class {number}" for number in range(100)])
    assert max(map(len, found)) <= 80
    assert "\x1b" not in "".join(found)


def test_more_than_a_tenth_or_a_class_or_an_archive_needs_consent() -> None:
    assert consent_needed(60, HEIC, []) == ""
    assert consent_needed(59, HEIC, []) == "6 of 59 files are left out (6 .HEIC: HEIC)"
    assert consent_needed(1000, HEIC, ["phone"]) == "class phone comes out empty"
    assert ARCHIVE in consent_needed(1000, [LeftOut(Path("a.zip"), ARCHIVE)], [])
    assert consent_needed(1000, [], list("abcde")) == "classes a, b, c and 2 more come out empty"


def test_a_systems_own_files_need_none() -> None:
    assert consent_needed(20, SYSTEM, []) == ""
    assert consent_needed(72, [*SYSTEM, *HEIC], []) == ""
    assert consent_needed(71, [*SYSTEM, *HEIC], []) != ""
    assert summary(20, SYSTEM) == []
    assert summary(20, [*SYSTEM, *HEIC]) == ["6 of 20 files are left out, such as phone/0.HEIC: HEIC"]


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [(1, 1, "its only file is"), (1, 48, "1 of 48 files is"), (2, 2000, "2 of 2,000 files are")],
)
def test_the_verb_fits_the_number(part: int, whole: int, told: str) -> None:
    assert of_files(part, whole) == told


def test_an_archive_among_other_files_is_named_first() -> None:
    out = [LeftOut(Path("README.md"), "no image"), LeftOut(Path("w.tar.gz"), ARCHIVE)]
    assert f"1 .gz: {ARCHIVE}" in consent_needed(2, out, [])
