"""Great Expectations itself, over small tables."""

from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import KshotError
from kshot.lifecycle.validation.checks import Check
from kshot.lifecycle.validation.expectations import validate

BETWEEN = "ExpectColumnValuesToBeBetween"
TABLES = {
    "fruit": pd.DataFrame({"name": ["apple", "한글", "two words"], "weight": [1, 5, 9]}),
    "trees": pd.DataFrame({"name": ["oak"], "alive": [True]}),
}
HEAVY = Check("is not heavy", "fruit", BETWEEN, {"column": "weight", "max_value": 4})
LIGHT = Check("is not light", "fruit", BETWEEN, {"column": "weight", "min_value": 1})
ALIVE = Check("is alive", "trees", "ExpectColumnValuesToBeInSet", {"column": "alive", "value_set": [True]})
TWICE = Check("is not heavy at all", "fruit", BETWEEN, {"column": "weight", "max_value": 8})


def test_the_rows_that_break_a_check_are_named_in_the_order_of_the_checks() -> None:
    found = validate(TABLES, [TWICE, ALIVE, HEAVY, LIGHT])
    assert [(finding.check.name, finding.broken) for finding in found] == [
        ("is not heavy at all", (2,)),
        ("is alive", ()),
        ("is not heavy", (1, 2)),
        ("is not light", ()),
    ]


def test_it_says_nothing_draws_no_bar_and_writes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    validate(TABLES, [HEAVY, ALIVE])
    assert list(tmp_path.rglob("*")) == []
    assert capfd.readouterr() == ("", "")


def test_an_expectation_that_cannot_be_computed_is_an_error_and_no_finding() -> None:
    lost = Check("has a colour", "fruit", BETWEEN, {"column": "colour", "min_value": 1})
    with pytest.raises(KshotError, match="the check 'has a colour' could not be computed"):
        validate({"fruit": TABLES["fruit"]}, [lost])
