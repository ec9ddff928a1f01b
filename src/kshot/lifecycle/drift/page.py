"""The page of `kshot drift`: the verdict and its numbers, in one HTML file without external resources."""

from pathlib import Path
from typing import NamedTuple

from kshot.lifecycle.drift.text import MEANINGS, against, chance, format_measure, headline, middle, verdict
from kshot.lifecycle.drift.verdict import Row, Verdict
from kshot.lifecycle.pages.render import pages, png_address, write_page
from kshot.lifecycle.project import layout

PAGE = layout.REPORT.with_name("drift.html")
FULL = 2.0  # multiples of the limit at which a bar has full length


class Strip(NamedTuple):
    """A range on a scale shared by two, for CSS: left end, width and middle in per cent; text for the mouse pointer."""

    left: float
    width: float
    middle: float
    words: str


def write_drift_page(found: Verdict, path: Path) -> Path:
    """Write the page to `path` atomically and return it."""
    environment = pages()
    environment.globals.update(
        against=against, chance=chance, headline=headline, meanings=MEANINGS, middle=middle, verdict=verdict
    )
    environment.globals.update(strips=strips, share_of_limit=share_of_limit, address=png_address)
    return write_page(environment.get_template("drift.html.j2").render(found=found), path)


def share_of_limit(row: Row) -> float:
    """The length of a statistic's bar in per cent; the limit is at 50 %."""
    return min(100.0, 100 / FULL * row.measure.statistic / row.measure.limit) if row.measure.limit > 0 else 100.0


def strips(row: Row) -> tuple[Strip, Strip] | None:
    """The ranges of training images and new images; None for a measure that is one number."""
    if row.reference is None or row.new is None or row.measure.name == "unknown":
        return None
    both = (row.reference, row.new)
    low, high = min(one.low for one in both), max(one.high for one in both)
    span = high - low or 1.0
    made = []
    for one in both:
        ends = f"{format_measure(row.measure.name, one.low)} to {format_measure(row.measure.name, one.high)}"
        at = [100 * (value - low) / span for value in (one.low, one.high, one.middle)]
        made.append(Strip(at[0], at[1] - at[0], at[2], ends))
    return made[0], made[1]
