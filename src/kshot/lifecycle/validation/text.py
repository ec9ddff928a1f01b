"""Renders failed checks as short lines for a terminal of 80 columns, with the settings that the data can fill."""

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from kshot.data.class_supply import ClassSupply
from kshot.first_few import first_few
from kshot.lifecycle.project import layout
from kshot.lifecycle.validation.class_demands import TRAINED
from kshot.lifecycle.validation.expectations import Finding
from kshot.params.schema import Params

WIDTH = 78  # an error's block is indented by two columns
FITTING = layout.VALIDATION / "fitting.yaml"
PAGE = layout.VALIDATION / "index.html"
COMMAND = f"kshot retrain --params {FITTING.as_posix()}"
REFIT = "kshot fit-settings --yes"
COUNTS = ("classes have enough images", "splits have enough classes")  # checks that other settings can satisfy
SPLIT_NAMES = {"split 'train'": "training", "split 'val'": "validation", "split 'test'": "test"}
NEEDS: dict[str, str] = {"train.batch.classes": "a batch (train.batch.classes) takes"}
FLOOR = "gate.min_accuracy"
EACH_NAMED = 3  # classes that are named


class ClassFit(NamedTuple):
    """Settings that the data can fill.

    settings   dotted key of params.yaml to its new value, only those that change
    drop       classes that no setting can use
    obstacle   why no settings fit, '' if some do; `settings` is then empty
    now        for settings that are `auto`, what that is for this data, as text
    """

    settings: dict[str, Any]
    drop: tuple[str, ...] = ()
    obstacle: str = ""
    now: Mapping[str, str] = MappingProxyType({})


def supplies(manifest: pd.DataFrame) -> list[ClassSupply]:
    """The input of `class_fit`: one entry per class of the data."""
    classes = manifest.groupby("class").agg(
        images=("content", "nunique"), group=("group", "first"), split=("split", "first")
    )
    columns = (classes[name].tolist() for name in ("images", "group", "split"))
    return [ClassSupply(*values) for values in zip(classes.index.tolist(), *columns, strict=True)]


def block(
    broken: Sequence[Finding], tables: Mapping[str, pd.DataFrame], fit: ClassFit | None, params: Params
) -> list[str]:
    """The failed checks, settings that fit, the command that sets them, and the path of the page.

    `fit` is None if no check on counts failed.
    """
    lines: list[str] = []
    for finding in broken:
        table = tables[finding.check.table]
        rows = table.iloc[list(finding.broken)]
        if finding.check.table == "classes" and finding.check.name == COUNTS[0]:
            lines += too_few_images(rows, table)
        elif finding.check.name == COUNTS[1]:
            lines += too_few_classes(rows)
        else:
            examples = first_few([finding.check.text(row) for _, row in rows.iterrows()], 2, "; ")
            lines += [f"{finding.check.name}: no; {examples}", f"  {finding.check.remedy}"]
    if fit is not None:
        lines += ["", *proposal(fit, params)]
    lines += ["", f"all of it, with images: {PAGE.as_posix()}"]
    return [part for line in lines for part in wrapped(line)]


def too_few_images(rows: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """One line per demand: how many classes have too few images for it, and which have the fewest."""
    lines = []
    for (demand, needed), part in rows.groupby(["demand", "needed"], sort=False):
        like = int((table["demand"] == demand).sum())
        fewest = part.sort_values(["images", "name"])
        each = [f"{name} has {images}" for name, images in zip(fewest["name"], fewest["images"], strict=True)]
        if len(part) > 1 and part["images"].nunique() == 1:
            each = [f"{part['images'].iloc[0]} each"]
        kind = "training" if demand == TRAINED else "evaluation"
        lines.append(
            f"{len(part)} of {like} {kind} classes have under {needed} images ({demand}): {first_few(each, EACH_NAMED)}"
        )
    return lines


def too_few_classes(rows: pd.DataFrame) -> list[str]:
    """One line per split: its number of classes, and the settings that need more."""
    lines = []
    for (name, classes), part in rows.groupby(["name", "classes"], sort=False):
        for written, plain in SPLIT_NAMES.items():
            name = str(name).replace(written, plain)
        # One protocol represents all that need the same number.
        first = part.drop_duplicates("needed").sort_values("needed", ascending=False)
        needs = [
            NEEDS.get(demand, demand.removeprefix("episodes.protocols.").removesuffix(".n_way") + " needs")
            + f" {needed}"
            for demand, needed in zip(first["demand"].tolist(), first["needed"].tolist(), strict=True)
        ]
        lines.append(f"{name} has {classes} class{'' if classes == 1 else 'es'}; {', '.join(needs)}")
    return lines


def proposal(fit: ClassFit, params: Params) -> list[str]:
    """The settings that fit and how to set them, or why there are none."""
    lines = []
    if fit.drop:
        lines.append(f"used nowhere, as 2 images are needed: {first_few(list(fit.drop), between='; ')}")
    if fit.obstacle:
        return [*lines, f"no settings fit: {fit.obstacle}"]
    if not fit.settings:
        return lines
    now = {key: f" ({text})" for key, text in fit.now.items() if text}
    changes = [
        (key, format_value(current(params, key)), format_value(new) + now.get(key, ""))
        for key, new in fit.settings.items()
    ]
    wide = max(len(key) for key, _, _ in changes)
    lines.append("these settings fit the data:")
    lines += [f"  {key:<{wide}}  {before} -> {after}" for key, before, after in changes]
    if FLOOR in fit.settings:
        lines.append("a first model below gate.min_accuracy is not made champion")
    return [*lines, "this command sets them and trains:", f"  {COMMAND}", f"to fit all settings to the data: {REFIT}"]


def current(params: Params, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = params
    for name in key.split("."):
        value = getattr(value, name)
    return value


def format_value(value: Any) -> str:
    """A value on one line; protocols only by name, as the names describe them."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    if not isinstance(value, Mapping):
        return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)
    if all(isinstance(one, float) for one in value.values()):
        return ", ".join(f"{name} {one:g}" for name, one in value.items())
    return ", ".join(value)


def wrapped(line: str) -> list[str]:
    """`line` in pieces of at most WIDTH columns, never broken inside a word, with all but the first indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    ) or [""]
