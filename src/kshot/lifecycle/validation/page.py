"""The page of stage validate: every check of Great Expectations, and the images that failed checks are about."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kshot.lifecycle.data.packed import read_images
from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.pages.thumbnails import Thumbnails, data_address, of_label
from kshot.lifecycle.validation.expectations import Finding

MOST_ROWS = 60  # shown per check; validation.json names all
OF_A_CLASS = 6  # images shown of a class with too few


class BrokenRow(NamedTuple):
    """A row that broke a check, as text, with addresses of its images."""

    text: str
    images: tuple[str, ...]


class BrokenCheck(NamedTuple):
    """A failed check: the finding, the first rows that broke it, and how many more there are."""

    finding: Finding
    rows: tuple[BrokenRow, ...]
    more: int


def write_validation_page(
    root: Path,
    path: Path,
    findings: Sequence[Finding],
    tables: Mapping[str, pd.DataFrame],
    settings: Sequence[str],
    inverted: bool,
) -> Path:
    """Write the page to `path`. `settings`: lines of the settings that fit; `inverted`: whether ingest.invert is set.

    Only images packed by ingest are shown: an unreadable file has only its name and the reason.
    """
    broken = [finding for finding in findings if finding.broken]
    thumbnails = _thumbnails(root, tables["images"], inverted) if broken else None
    environment = pages()
    environment.globals["arguments"] = arguments
    text = environment.get_template("validation.html.j2").render(
        broken=[_broken(finding, tables, thumbnails) for finding in broken],
        passed=[finding for finding in findings if not finding.broken],
        images=len(tables["images"]),
        classes=len(tables["classes"]),
        settings=settings,
    )
    return write_page(text, path)


def arguments(finding: Finding) -> str:
    """The expectation with the arguments given to Great Expectations."""
    given = ", ".join(f"{name}={value!r}" for name, value in finding.check.arguments.items())
    return f"{finding.check.expectation}({given})"


def _thumbnails(root: Path, images: pd.DataFrame, inverted: bool) -> Thumbnails | None:
    try:
        pixels = read_images(root)
    except FileNotFoundError:
        return None
    rows = {str(name): np.asarray(found) for name, found in images.groupby("class").indices.items()}
    return Thumbnails(images=pixels, labels={}, rows=rows, inverted=inverted)


def _broken(finding: Finding, tables: Mapping[str, pd.DataFrame], thumbnails: Thumbnails | None) -> BrokenCheck:
    table = tables[finding.check.table]
    rows = tuple(
        BrokenRow(finding.check.text(table.iloc[row]), _images(finding, table.iloc[row], row, tables, thumbnails))
        for row in finding.broken[:MOST_ROWS]
    )
    return BrokenCheck(finding, rows, len(finding.broken) - len(rows))


def _images(
    finding: Finding,
    row: "pd.Series[Any]",
    place: int,
    tables: Mapping[str, pd.DataFrame],
    thumbnails: Thumbnails | None,
) -> tuple[str, ...]:
    """The image itself and its duplicate; for a class, a few of its images."""
    if thumbnails is None:
        return ()
    if finding.check.table == "classes":
        return tuple(of_label(thumbnails, str(row["name"]), OF_A_CLASS))
    if finding.check.table != "images":
        return ()
    twins = tables["images"]["name"].to_numpy() == row["twin"]
    equal = [int(np.flatnonzero(twins)[0])] if finding.check.arguments["column"].startswith("content") else []
    return tuple(data_address(thumbnails, number) for number in (place, *equal))
