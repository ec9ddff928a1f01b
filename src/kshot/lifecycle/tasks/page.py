"""The page of `kshot tasks`: the map of tasks and their table, in one HTML file without external resources."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.pages.svg import WIDTH, drawing, placed
from kshot.lifecycle.project import layout
from kshot.lifecycle.tasks.survey import NEW, Survey
from kshot.lifecycle.tasks.task_row import TaskRow
from kshot.lifecycle.tasks.text import correlation, no_prediction, warning

PAGE = layout.REPORT.with_name("tasks.html")
KINDS = {"train": "trained on", "val": "validation", "test": "test", NEW: "new"}
LETTER, LINE = 5.2, 9  # width and height of a name's letters, in the units of the image
LONGEST_NAME = 22


def write_task_page(found: Survey, path: Path) -> Path:
    """Write the page to `path` atomically and return it."""
    environment = pages()
    environment.globals.update(task_map=task_map, task_mark=task_mark)
    environment.globals.update(correlation=correlation, no_prediction=no_prediction, warning=warning)
    return write_page(environment.get_template("tasks.html.j2").render(found=found, kinds=_kinds(found)), path)


def task_map(rows: Sequence[TaskRow]) -> Markup:
    """Tasks as marks, with a shape per split, and as many names as fit, new tasks first."""
    points = np.array([[row.x, row.y] for row in rows])
    at, height = placed(points, 160, 420)
    order = sorted(range(len(rows)), key=lambda place: list(KINDS).index(rows[place].split))
    marks = [
        f'<g class="task {rows[i].split}{" outside" if rows[i].is_outlier else ""}">'
        f"<title>{escape(rows[i].name)}</title>{_shape(rows[i].split, *at[i])}</g>"
        for i in order
    ]
    return drawing("Map of tasks", "".join(marks) + _names(rows, at, order[::-1]), round(height))


def task_mark(split: str) -> Markup:
    """The mark of a split, alone, for the legend."""
    return Markup(f'<svg class="key" viewBox="1 1 10 10"><g class="task {split}">{_shape(split, 6, 6)}</g></svg>')


def _kinds(found: Survey) -> dict[str, str]:
    return {split: word for split, word in KINDS.items() if any(row.split == split for row in found.rows)}


def _shape(split: str, x: float, y: float) -> str:
    if split == "train":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    if split == "val":
        return f'<rect x="{x - 2.7:.1f}" y="{y - 2.7:.1f}" width="5.4" height="5.4"/>'
    if split == "test":
        return f'<path d="M{x:.1f} {y - 4:.1f}l4 7h-8z"/>'
    return f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>'


def _names(rows: Sequence[TaskRow], at: NDArray[np.float64], order: Sequence[int]) -> str:
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    written = []
    for place in order:
        name, (x, y) = rows[place].name.rpartition("/")[2], at[place]
        name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        wide = LETTER * len(name)
        for left, top in ((x + 6, y - 4), (x - 6 - wide, y - 4), (x - wide / 2, y - 15), (x - wide / 2, y + 6)):
            box = (left, top, left + wide, top + LINE)
            inside = left >= 0 and left + wide <= WIDTH
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                kind = "name new" if rows[place].split == NEW else "name"
                written.append(f'<text class="{kind}" x="{left:.1f}" y="{top + LINE - 2:.1f}">{escape(name)}</text>')
                break
    return "".join(written)


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
