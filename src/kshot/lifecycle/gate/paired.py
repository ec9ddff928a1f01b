"""Compares two models' predictions for the same episodes, pair by pair; without torch, so that an audit can use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.gate_rules import Comparison
from kshot.statistics import Interval, paired_difference, ratio_difference

CELL = ["protocol", "episode", "class", "rotation", "group"]


class Results(NamedTuple):
    """The parts of `lifecycle.stages.predictions.Predictions` that compare two models; `cells`: counts by class."""

    episodes: pd.DataFrame
    cells: pd.DataFrame


def read_results(folder: Path) -> Results:
    """Read the tables that stage evaluate wrote to `folder`. Raises OSError, ValueError for missing or broken ones."""
    return Results(pd.read_parquet(folder / "episodes.parquet"), pd.read_parquet(folder / "cells.parquet"))


def compared(
    version: str, role: str, protocols: Sequence[str], ours: Results, theirs: Results, group_protocol: str
) -> Comparison:
    """Compare the challenger's results with a version's, on `protocols` or, for (), on all that both have."""
    found = differences(ours.episodes, theirs.episodes)
    if protocols:
        found = {name: interval for name, interval in found.items() if name in protocols}
    cells = paired_cells(*(one.cells[one.cells["protocol"] == group_protocol] for one in (theirs, ours)))
    by_group = group_protocol in found and bool(cells["group"].astype(bool).any())
    return Comparison(
        version,
        role,
        found,
        groups=changes(cells, "group") if by_group else (),
        classes=changes(cells, "label") if group_protocol in found else (),
    )


def differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, Interval]:
    """Protocol to the paired difference ours - theirs over the episodes that both predicted."""
    both = ours.merge(theirs, on=["protocol", "episode"], suffixes=("_ours", "_theirs"))
    return {
        str(name): paired_difference(part["accuracy_ours"], part["accuracy_theirs"])
        for name, part in both.groupby("protocol", sort=False)
    }


def paired_cells(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Classes of the episodes that both have: right_old, right_new and queries; `label` names rotated classes."""
    both = old.merge(new.drop(columns="queries"), on=CELL, suffixes=("_old", "_new"))
    both["label"] = both["class"] + both["rotation"].map(lambda turns: f" @{90 * turns}" if turns else "")
    return both


def changes(both: pd.DataFrame, column: str) -> tuple[Change, ...]:
    """The changes of `paired_cells` by protocol and `column`: "group", "label", or another added column."""
    figures = ["queries", "right_old", "right_new"]
    sums = both.groupby(["protocol", column, "episode"], sort=False)[figures].sum().reset_index()
    found = []
    for (protocol, name), part in sums.groupby(["protocol", column], sort=False):
        queries, was, now = (part[figure].to_numpy(dtype=float) for figure in figures)
        difference = ratio_difference(now, was, queries)
        old, new = float(was.sum() / queries.sum()), float(now.sum() / queries.sum())
        found.append(Change(str(protocol), str(name), old, new, difference, len(part)))
    return tuple(found)
