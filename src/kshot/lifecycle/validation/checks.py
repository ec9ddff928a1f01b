"""Checks of a data version before a model is trained on it: small tables, and a rule on each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kshot.lifecycle.project.tables import counted
from kshot.params.schema import Params

Text = Callable[[pd.Series], str]


@dataclass(frozen=True)
class Check:
    """A rule on one column of a table: a stock expectation by name, its arguments, and the text for a broken row."""

    name: str
    table: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: Text = lambda row: str(row["name"])
    remedy: str = ""


def checks(params: Params) -> list[Check]:
    """Every rule, in the order in which they are reported to a person."""
    limits = params.validate
    drawers = Check(
        "images name their drawers",
        "files",
        "ExpectColumnValuesToBeBetween",
        {"column": "without_drawer", "max_value": 0},
        lambda row: f"{row['without_drawer']} of {row['files']} images name no drawer",
        "a protocol has by_drawer, which needs a column drawer in the manifest that `kshot data add` reads: add it, or "
        "set by_drawer: false",
    )
    return [
        *([drawers] if any(protocol.by_drawer for protocol in params.episodes.by_name.values()) else []),
        Check(
            "files are readable",
            "files",
            "ExpectColumnValuesToBeBetween",
            {"column": "unreadable_share", "max_value": limits.max_unreadable_share},
            lambda row: f"{row['unreadable']} of {row['files']} files: {row['examples']}",
            "mend or remove them, or raise validate.max_unreadable_share to set them aside",
        ),
        Check(
            "images are large enough",
            "images",
            "ExpectColumnValuesToBeBetween",
            {"column": "short_side", "min_value": limits.min_side},
            lambda row: f"{row['name']} is {row['width']} x {row['height']}",
            f"needs {limits.min_side} pixels a side: remove them, or lower validate.min_side",
        ),
        Check(
            "images are not too long",
            "images",
            "ExpectColumnValuesToBeBetween",
            {"column": "aspect_ratio", "max_value": limits.max_aspect_ratio},
            lambda row: f"{row['name']} is {row['width']} x {row['height']}",
            f"needs at most {limits.max_aspect_ratio} to 1: crop them, or raise validate.max_aspect_ratio",
        ),
        Check(
            "class names survive a round trip",
            "classes",
            "ExpectColumnValuesToBeInSet",
            {"column": "survives", "value_set": [True]},
            remedy="rename them without control characters, backslashes, or blanks at their ends",
        ),
        Check(
            "every class lies in one split",
            "classes",
            "ExpectColumnValuesToBeBetween",
            {"column": "n_splits", "min_value": 1, "max_value": 1},
            lambda row: f"{row['name']} in {row['splits']}",
            "give each class one split",
        ),
        Check(
            "no image lies in two splits",
            "images",
            "ExpectColumnValuesToBeBetween",
            {"column": "content_splits", "max_value": 1},
            lambda row: f"{row['name']} is the same as {row['twin']}",
            "remove all but one",
        ),
        Check(
            "no image lies under two classes",
            "images",
            "ExpectColumnValuesToBeBetween",
            {"column": "content_classes", "max_value": 1},
            lambda row: f"{row['name']} is the same as {row['twin']}",
            "remove all but one",
        ),
        Check(
            "classes have enough images",
            "classes",
            "ExpectColumnValuesToBeBetween",
            {"column": "missing_images", "max_value": 0},
            lambda row: (
                f"class {row['name']!r} has {counted(row['images'], 'image')}; {row['demand']} needs {row['needed']}"
            ),
            "lower one in params.yaml, or drop the class",
        ),
        Check(
            "splits have enough classes",
            "splits",
            "ExpectColumnValuesToBeBetween",
            {"column": "missing_classes", "max_value": 0},
            lambda row: (
                f"{row['demand']} is {row['needed']}: at most {row['classes']} here, the classes of {row['name']}"
            ),
            "lower it in params.yaml, or add classes",
        ),
    ]
