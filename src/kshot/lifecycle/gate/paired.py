"""Two models' predictions for the same episodes, pair by pair; without torch, so that an audit can ask again."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.gate_rules import Comparison
from kshot.statistics import Interval, paired_difference, ratio_difference

CELL = ["protocol", "episode", "class", "rotation", "group"]


class Results(NamedTuple):
    """From `kshot.lifecycle.stages.predictions.Answers` by which two models are compared: `cells` counts by class."""

    episodes: pd.DataFrame
    cells: pd.DataFrame


def read_results(folder: Path) -> Results:
    """What the stage evaluate wrote into `folder`. Raises OSError and ValueError for tables that are gone or broken."""
    return Results(pd.read_parquet(folder / "episodes.parquet"), pd.read_parquet(folder / "cells.parquet"))


def compared(
    version: str, role: str, protocols: Sequence[str], ours: Results, theirs: Results, group_protocol: str
) -> Comparison:
    """The challenger's results against those of a version, on `protocols` or, for (), on all that both have."""
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
    """Protocol to the paired difference ours - theirs over the episodes that both answered."""
    both = ours.merge(theirs, on=["protocol", "episode"], suffixes=("_ours", "_theirs"))
    return {
        str(name): paired_difference(part["accuracy_ours"], part["accuracy_theirs"])
        for name, part in both.groupby("protocol", sort=False)
    }


def paired_cells(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The classes of episodes that both were asked: right_old, right_new and queries; `label` names turned classes."""
    both = old.merge(new.drop(columns="queries"), on=CELL, suffixes=("_old", "_new"))
    both["label"] = both["class"] + both["rotation"].map(lambda turns: f" @{90 * turns}" if turns else "")
    return both


def changes(both: pd.DataFrame, column: str) -> tuple[Change, ...]:
    """The changes of `paired_cells` by protocol and `column`: "group", "label", or another that was added."""
    figures = ["queries", "right_old", "right_new"]
    sums = both.groupby(["protocol", column, "episode"], sort=False)[figures].sum().reset_index()
    found = []
    for (protocol, name), part in sums.groupby(["protocol", column], sort=False):
        asked, was, now = (part[figure].to_numpy(dtype=float) for figure in figures)
        difference = ratio_difference(now, was, asked)
        old, new = float(was.sum() / asked.sum()), float(now.sum() / asked.sum())
        found.append(Change(str(protocol), str(name), old, new, difference, len(part)))
    return tuple(found)
