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
