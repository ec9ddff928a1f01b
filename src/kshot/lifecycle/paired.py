"""What two models answered to the same episodes, pair by pair; without torch, so that an audit can ask again."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from kshot.lifecycle.gate import GroupChange
from kshot.statistics import Interval, paired_difference


class Results(NamedTuple):
    """The tables of `kshot.lifecycle.answers.Answers` that two models are compared by."""

    episodes: pd.DataFrame
    groups: pd.DataFrame


def read_results(folder: Path) -> Results:
    """What the stage evaluate wrote into `folder`."""
    return Results(pd.read_parquet(folder / "episodes.parquet"), read_groups(folder / "groups.csv"))


def differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, Interval]:
    """Protocol to the paired difference ours - theirs over the episodes that both answered."""
    both = ours.merge(theirs, on=["protocol", "episode"], suffixes=("_ours", "_theirs"))
    return {
        str(name): paired_difference(part["accuracy_ours"], part["accuracy_theirs"])
        for name, part in both.groupby("protocol", sort=False)
    }


def group_changes(ours: pd.DataFrame, theirs: pd.DataFrame, protocol: str) -> tuple[GroupChange, ...]:
    """Both accuracies on each group that both answered for."""
    tables = (table[table["protocol"] == protocol] for table in (ours, theirs))
    both = next(tables).merge(next(tables), on="group", suffixes=("_ours", "_theirs"))
    return tuple(
        GroupChange(str(row["group"]), float(row["accuracy_theirs"]), float(row["accuracy_ours"]))
        for row in both.to_dict("records")
    )


def read_groups(path: Path) -> pd.DataFrame:
    """A groups.csv; a group without a name stays ''."""
    return pd.read_csv(path, dtype={"group": str, "protocol": str}, keep_default_na=False)
