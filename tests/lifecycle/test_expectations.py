"""Great Expectations itself, over tables small enough to see."""

from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import KshotError
from kshot.lifecycle.checks import Check
from kshot.lifecycle.expectations import Finding, validate

BETWEEN = "ExpectColumnValuesToBeBetween"
TABLES = {
    "fruit": pd.DataFrame({"name": ["apple", "한글", "two words"], "weight": [1, 5, 9]}),
    "trees": pd.DataFrame({"name": ["oak"], "alive": [True]}),
}
HEAVY = Check("is not heavy", "fruit", BETWEEN, {"column": "weight", "max_value": 4})
LIGHT = Check("is not light", "fruit", BETWEEN, {"column": "weight", "min_value": 1})
ALIVE = Check("is alive", "trees", "ExpectColumnValuesToBeInSet", {"column": "alive", "value_set": [True]})
TWICE = Check("is not heavy at all", "fruit", BETWEEN, {"column": "weight", "max_value": 8})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Finding], Path]:
    docs = tmp_path_factory.mktemp("docs")
    return validate(TABLES, [TWICE, ALIVE, HEAVY, LIGHT], docs), docs


def test_the_rows_that_break_a_check_are_named_in_the_order_of_the_checks(run: tuple[list[Finding], Path]) -> None:
    assert [(finding.check.name, finding.broken) for finding in run[0]] == [
        ("is not heavy at all", (2,)),
        ("is alive", ()),
        ("is not heavy", (1, 2)),
        ("is not light", ()),
    ]


def test_data_docs_are_written_with_a_page_to_begin_at(run: tuple[list[Finding], Path]) -> None:
    page = (run[1] / "index.html").read_text(encoding="utf-8")
    assert "fruit" in page
    assert len(list(run[1].rglob("validations/**/*.html"))) == len(TABLES)


def test_it_says_nothing_and_draws_no_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    validate(TABLES, [HEAVY, ALIVE], tmp_path)
    assert capfd.readouterr() == ("", "")


def test_an_expectation_that_cannot_be_computed_is_an_error_and_no_finding(tmp_path: Path) -> None:
    lost = Check("has a colour", "fruit", BETWEEN, {"column": "colour", "min_value": 1})
    with pytest.raises(KshotError, match="the check 'has a colour' could not be computed"):
        validate({"fruit": TABLES["fruit"]}, [lost], tmp_path)
