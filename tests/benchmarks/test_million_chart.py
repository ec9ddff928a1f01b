"""The chart in docs/scale.md is drawn from the table there."""

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "million_chart.py"


@pytest.fixture
def chart() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_chart_in_the_docs_is_drawn_from_their_table(chart: dict[str, Any], tmp_path: Path) -> None:
    page = chart["PAGE"]
    copy = tmp_path / "scale.md"
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    chart["main"].__globals__["PAGE"] = copy
    chart["main"]()
    assert (tmp_path / "scale.svg").read_bytes() == page.with_suffix(".svg").read_bytes()
    assert chart["rows"](copy.read_text(encoding="utf-8"))["kshot data add"][0] == (8.0, 0.15)


def test_labels_are_apart(chart: dict[str, Any]) -> None:
    places = chart["spread"]({"a": 100.0, "b": 101.0, "c": 50.0})
    assert places == {"b": 101.0, "a": 101.0 - chart["GAP"], "c": 50.0}


def test_the_label_of_the_dashed_line_stands_where_no_other_line_is(chart: dict[str, Any]) -> None:
    panel = chart["Panel"]("seconds", "s", 52, 1, 2000, (2, 200), "linear")
    guide = (300.0, 120.0)
    wide = chart["LETTER"] * len("linear")
    for lines in ([], [[296.0, 206.0, 116.0]], [[310.0, 220.0, 130.0]]):
        x, y = chart["free_place"](panel, guide, lines)
        corners = [(at, to) for at in (x, x + wide) for to in (y - 12, y + 3)]
        for line in lines:  # its box is on one side of every line
            assert len({line[0] + (at - 52) / chart["PLOT"] * (line[2] - line[0]) > to for at, to in corners}) == 1
