"""Runs Great Expectations on the tables of a data version, without its own pages, which load external resources."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kshot.errors import KshotError
from kshot.lifecycle.project.permanent_imports import permanent_imports
from kshot.lifecycle.validation.checks import Check


@dataclass(frozen=True)
class Finding:
    """The result of one check: the positions of the rows that broke it, empty if it holds."""

    check: Check
    broken: tuple[int, ...]


def validate(tables: dict[str, pd.DataFrame], checks: Sequence[Check]) -> list[Finding]:
    """Run every check; returns the findings in the order of `checks`.

    Raises KshotError if an expectation could not be computed at all, which is different from a broken one.
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations uses older pandas calls
        with permanent_imports():
            import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        for name in list(context.get_site_names()):
            context.delete_data_docs_site(name)
        source = context.data_sources.add_pandas("kshot")
        findings = [
            finding
            for name, table in tables.items()
            for finding in _run(gx, context, source, name, table, [check for check in checks if check.table == name])
        ]
    order = {check.name: place for place, check in enumerate(checks)}
    return sorted(findings, key=lambda finding: order[finding.check.name])


def _run(gx: Any, context: Any, source: Any, name: str, table: pd.DataFrame, checks: Sequence[Check]) -> list[Finding]:
    """Check one table; Great Expectations gets a copy with a column for the row's position."""
    frame = table.assign(row=range(len(table)))
    batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
    stock = {
        "ExpectColumnValuesToBeBetween": gx.expectations.ExpectColumnValuesToBeBetween,
        "ExpectColumnValuesToBeInSet": gx.expectations.ExpectColumnValuesToBeInSet,
    }
    suite = context.suites.add(gx.ExpectationSuite(name=name))
    for check in checks:
        suite.add_expectation(stock[check.expectation](**check.arguments, meta={"check": check.name}))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
        )
    )
    outcome = next(iter(checkpoint.run(batch_parameters={"dataframe": frame}).run_results.values()))
    by_name = {check.name: check for check in checks}
    return [_finding(by_name[result.expectation_config.meta["check"]], result) for result in outcome.results]


def _finding(check: Check, result: Any) -> Finding:
    if result.success:
        return Finding(check, ())
    if result.exception_info and any(
        info.get("raised_exception") for info in (result.exception_info, *_nested(result.exception_info))
    ):
        raise KshotError(f"the check {check.name!r} could not be computed: {result.exception_info}")
    rows = result.result.get("unexpected_index_list")
    if not rows:
        raise KshotError(f"the check {check.name!r} failed and did not say where: {result.result}")
    return Finding(check, tuple(int(row["row"]) for row in rows))


def _nested(info: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for value in info.values() if isinstance(value, dict)]
