"""The page of a sweep: one self-contained HTML file."""

from pathlib import Path

from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.sweep.choice import BEST, WORSE, Compared
from kshot.lifecycle.sweep.sweep import Sweep
from kshot.lifecycle.sweep.sweep_text import bounds, difference, measured, note, verdict


def write_sweep_page(found: Sweep, path: Path) -> Path:
    """Write the page to `path` atomically and return it."""
    environment = pages()
    environment.globals.update(difference=difference, measured=measured, note=note, verdict=verdict)
    environment.globals.update(best=BEST, worse=WORSE, scale=scale(found.rows), place=place, ends=bounds)
    return write_page(environment.get_template("sweep.html.j2").render(found=found), path)


def scale(rows: tuple[Compared, ...]) -> tuple[float, float]:
    """The range of accuracies that all intervals lie in, at least a tenth of a point wide."""
    ends = [end for one in rows for end in one.accuracy if end == end]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    return low, max(high, low + 0.001)


def place(value: float, ends: tuple[float, float]) -> float:
    """Where `value` lies between the ends, in per cent; the middle for a missing value."""
    return 50.0 if value != value else 100 * (value - ends[0]) / (ends[1] - ends[0])
