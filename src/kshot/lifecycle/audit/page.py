"""Renders an audit as an HTML page that can be sent: one file, no external resources, light and dark."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape

from kshot.lifecycle.audit import text
from kshot.lifecycle.audit.data import DataAudit
from kshot.lifecycle.audit.link import BROKEN, ERASED, ERROR, NOT_CHECKED, VERIFIED, Link
from kshot.lifecycle.audit.model import ModelAudit
from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.pages.svg import drawing
from kshot.lifecycle.project.tables import counted

MARKS = {
    VERIFIED: "\N{CHECK MARK}",
    BROKEN: "\N{MULTIPLICATION X}",
    NOT_CHECKED: "\N{ALMOST EQUAL TO}",
    ERASED: "\N{EMPTY SET}",
    ERROR: "!",
}
# Position of each link in the drawing: column, row.
PLACES = {
    "data": (0, 0),
    "params": (0, 1),
    "code": (0, 2),
    "environment": (0, 3),
    "run": (1, 0),
    "weights": (1, 1),
    "episodes": (1, 2),
    "record": (1, 3),
    "model": (2, 0),
    "served": (2, 1),
    "accuracies": (2, 2),
    "anchor": (3, 0),
    "history": (3, 1),
    "decision": (3, 2),
    "tags": (3, 3),
}
RESTS_ON = (
    ("data", "run"),
    ("params", "run"),
    ("code", "run"),
    ("environment", "run"),
    ("environment", "record"),
    ("run", "weights"),
    ("run", "model"),
    ("weights", "served"),
    ("served", "model"),
    ("weights", "accuracies"),
    ("episodes", "accuracies"),
    ("accuracies", "decision"),
    ("served", "decision"),
    ("decision", "history"),
    ("decision", "tags"),
    ("history", "anchor"),
)
WIDE, HIGH, GAP, STEP = 84, 30, 24, 48  # of a box and between boxes, in the units of the image


def write_model_page(found: ModelAudit, path: Path) -> Path:
    """Write the page of a version's chain to `path`, completely or not at all, and return it."""
    environment = pages()
    return write_page(
        environment.get_template("audit.html.j2").render(
            title=_headline(text.sentence(found)),
            reach=f"Audited {_time(found)}",
            **_mood(found),
            facts={"MLflow run": found.run_id, "data version": found.data_version},
            drawing=lineage(found.links),
            links=found.links,
            marks=MARKS,
            tables=(),
        ),
        path,
    )


def write_data_page(found: DataAudit, path: Path) -> Path:
    """Write the page of a data version to `path`, completely or not at all, and return it."""
    names = list(dict.fromkeys(name for run in found.runs for name in run.params))
    tables = (
        ("Models that were trained on it", [text.model_row(one) for one in found.models]),
        ("Images that came from requests to the service", [text.feedback_row(one) for one in found.feedback]),
        ("Runs that used it, with the params that differ", [text.run_row(run, names) for run in found.runs]),
    )
    return write_page(
        pages()
        .get_template("audit.html.j2")
        .render(
            title=f"Data version {found.data.short}: "
            f"{counted(len(found.runs), 'run')}, {counted(len(found.models), 'model')}",
            reach=f"Audited {_time(found)}",
            **_mood(found),
            facts={
                "data version": found.data.md5,
                "images": f"{found.data.images:,} of {found.data.classes:,} classes",
                "source": found.data.source,
                "added": found.data.added,
            },
            drawing=None,
            links=found.links,
            marks=MARKS,
            tables=[(title, rows) for title, rows in tables if rows],
        ),
        path,
    )


def lineage(links: Sequence[Link]) -> Markup:
    """Draw the chain as boxes, each to the right of those it rests on; form and colour mark links that do not hold."""
    states = {link.name: link for link in links}
    lines = "".join(_line(one, other) for one, other in RESTS_ON)
    boxes = "".join(_box(states[name], *PLACES[name]) for name in PLACES if name in states)
    return drawing("What the model rests on", lines + boxes, 4 * STEP)


def _line(one: str, other: str) -> str:
    (x, y), (x2, y2) = _corner(one), _corner(other)
    if x == x2:
        down = y2 > y
        return f'<path class="rests" d="M{x + WIDE / 2} {y + HIGH * down}V{y2 + HIGH * (not down)}"/>'
    start, end = (x + WIDE, y + HIGH / 2), (x2, y2 + HIGH / 2)
    middle = (start[0] + end[0]) / 2
    return f'<path class="rests" d="M{start[0]} {start[1]}C{middle} {start[1]} {middle} {end[1]} {end[0]} {end[1]}"/>'


def _box(link: Link, column: int, row: int) -> str:
    x, y = _corner(link.name)
    kind = link.state.replace(" ", "-")
    mark = MARKS.get(link.state, "?")
    return (
        f'<g class="link {kind}"><title>{escape(link.says)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="5"/>'
        f'<text x="{x + WIDE / 2}" y="{y + HIGH / 2 + 4}" text-anchor="middle">{mark} {escape(link.name)}</text></g>'
    )


def _corner(name: str) -> tuple[int, int]:
    column, row = PLACES[name]
    return 6 + column * (WIDE + GAP), 6 + row * STEP


def _mood(found: ModelAudit | DataAudit) -> dict[str, str]:
    if found.failed and all(link.state == ERROR for link in found.failed):
        return {"mood": "open", "tag": "could not be checked"}
    if found.failed:
        return {"mood": "held", "tag": "does not hold"}
    part = any(link.state == NOT_CHECKED for link in found.links)
    return {"mood": "open", "tag": "verified in part"} if part else {"mood": "good", "tag": "verified"}


def _time(found: ModelAudit | DataAudit) -> str:
    return f"{found.at:%Y-%m-%d %H:%M} UTC, {'data hashed again' if found.deep else 'data by existence and size'}"


def _headline(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
