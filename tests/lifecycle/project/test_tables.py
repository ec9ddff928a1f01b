"""Tables fit the terminal: cells wrap between words, an interval stays whole, a list is used if nothing else fits."""

import pytest

from kshot.lifecycle.project.tables import columns, facts, fold

SHORT = [{"version": "1", "accuracy": "98.60 %"}, {"version": "12", "accuracy": " 7.10 %"}]
LONG = [
    {
        "version": "1",
        "alias": "champion",
        "5w1s": "98.60 % [97.10, 99.50]",
        "decision": "promoted by Augusta Ada King, Countess of Lovelace, because it is better by half a point",
    },
    {"version": "2", "alias": "", "5w1s": "97.00 % [95.10, 98.50]", "decision": "waiting for approval"},
]


def words(lines: list[str]) -> list[str]:
    return sorted(" ".join(lines).split())


def test_what_fits_stays_as_it_was() -> None:
    assert columns(SHORT, 80) == ["  version  accuracy", "  1        98.60 %", "  12        7.10 %"]
    assert columns([], 80) == []


@pytest.mark.parametrize("width", [100, 80, 60, 50])
def test_no_line_is_wider_no_word_is_broken_or_lost(width: int) -> None:
    lines = columns(LONG, width)
    assert max(map(len, lines)) <= width
    found = words(lines)
    for row in LONG:
        for cell in row.values():
            assert all(word in found for word in cell.split()), (cell, lines)


@pytest.mark.parametrize("width", [100, 80, 60, 44])
def test_an_interval_and_a_unit_are_never_parted(width: int) -> None:
    text = "\n".join(columns(LONG, width))
    assert "[97.10, 99.50]" in text and "98.60 %" in text


def test_a_row_whose_words_alone_are_too_wide_becomes_a_list() -> None:
    table = [{"image": "a" * 40, "class": "b" * 40, "why": ""}, {"image": "c", "class": "d", "why": "e"}]
    lines = columns(table, 60)
    assert lines == ["  image  " + "a" * 40, "  class  " + "b" * 40, "", "  image  c", "  class  d", "  why    e"]


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, columns(LONG))) <= 60
    monkeypatch.setenv("COLUMNS", "200")
    assert len(columns(LONG)) == 3


def test_facts_are_aligned_and_wrapped_below_themselves() -> None:
    assert facts([("cron", "0 3 * * 1"), ("", "next tomorrow and again"), ("new-data", "/data")], 30) == [
        "  cron      0 3 * * 1",
        "            next tomorrow and",
        "            again",
        "  new-data  /data",
    ]


def test_a_line_is_folded_between_words_below_its_value() -> None:
    assert fold("  name  the quick brown fox", 18, hanging=8) == ["  name  the quick", "        brown fox"]
    assert fold("short", 18, hanging=8) == ["short"]
    assert fold("x" * 30, 18) == ["x" * 30]


def test_a_class_name_is_wrapped_after_a_slash_before_the_table_becomes_a_list() -> None:
    row = {"class": "Vegetables/Brown-Cap-Mushroom", "95 % interval": "[-19.29, -16.54]", "note": "a/b"}
    assert columns([row], 44) == [
        "  class               95 % interval     note",
        "  Vegetables/         [-19.29, -16.54]  a/b",
        "  Brown-Cap-Mushroom",
    ]
