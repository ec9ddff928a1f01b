from kshot.lifecycle.pages.render import NONE
from kshot.lifecycle.tasks.survey import NEW, Survey
from kshot.lifecycle.tasks.task_row import TaskRow
from kshot.lifecycle.tasks.text import render_survey

KNOWN = (("val/val classes 2", 0.12), ("train/train classes 1", 0.3))


def row(name, split, outside, limit, nearest=KNOWN):
    return TaskRow(name, split, 2, 10, 5.0, 0.9, 0.8, nearest, outside, limit, 0.0, 0.0)


def text(*rows):
    return render_survey(Survey(rows, trust=(), accept=0.95, calibrated=True, notes=()))


def test_a_row_of_ordinary_names_takes_at_most_two_lines_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = text(*(row(f"test classes {number}", "test", 0.6, 0.74) for number in range(5))).split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert len(table.splitlines()) <= 2 * 5 + 3
    assert "train classes 1" not in table, "the nearest task alone; the page has the others"


def test_one_limit_stands_in_the_header_and_different_ones_in_the_rows(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    table = text(row("a", "train", 0.1, None), row("b", "val", 0.6, 0.74), row("c", "test", 0.8, 0.74))
    header, a, b, c = table.split("\n\n")[0].splitlines()
    assert "outlyingness (limit 0.74)" in header
    assert " 0.10 " in a and " 0.60 " in b and "YES, 0.80 " in c and "of" not in b + c
    assert "0.60 of 0.70" in text(row("b", "val", 0.6, 0.7), row("c", "test", 0.8, 0.74))


def test_a_task_without_a_known_one_has_a_dash(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert NONE in text(row("a", NEW, 0.1, None, nearest=())).splitlines()[1]
