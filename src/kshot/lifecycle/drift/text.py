"""Renders a verdict on drift as text, for the terminal and the page."""

from kshot.lifecycle.drift.verdict import Range, Row, Verdict
from kshot.lifecycle.pages.render import NONE, percent
from kshot.lifecycle.project.tables import columns

# A short description of each measure and of what its statistic counts.
MEANINGS = {
    "size": "side of an image as it came",
    "brightness": "mean light of an image, white is 100 %",
    "contrast": "standard deviation of the light",
    "clipped": "share of pixels that are black or white",
    "sharpness": "edges in what is seen, in octaves",
    "distance": "distance to the nearest training class",
    "unknown": "images of no class of the champion's data",
    "mmd": "where in the model's space images lie",
    "outlyingness": "how far the classes lie from those of training",
    "task": "squared distance of the task to the training classes",
}
SHARES = ("brightness", "contrast", "clipped", "unknown")


def render_verdict(found: Verdict) -> str:
    """The table of measures, notes, and the verdict."""
    parts = ["\n".join(columns([_line(row) for row in found.rows]))]
    parts += [f"note: {note}" for note in found.notes]
    parts.append(f"{headline(found)}\n{against(found)}")
    return "\n\n".join(parts)


def headline(found: Verdict) -> str:
    """The verdict in one sentence."""
    if found.drifted:
        return f"drifted: {', '.join(row.measure.name for row in found.drifted)}"
    return "not drifted: these images are like those that the champion was trained on"


def against(found: Verdict) -> str:
    """The compared versions and classes, and the false-alarm rate."""
    of = f" of {found.classes:,} classes" if found.classes is not None else ", unlabelled"
    return (
        f"{found.looked_at:,} images{of}, against champion {found.version}, trained on {found.trained_classes:,} "
        f"classes of data version {found.data_version[:8]};\n"
        f"limits set on {found.held_out_classes:,} held-out classes: "
        f"1 in {round(1 / found.false_alarms)} normal samples would raise an alarm"
    )


def format_measure(name: str, value: float | None) -> str:
    """A value in the unit of its measure."""
    if value is None:
        return NONE
    if name in SHARES:
        return percent(value, 1)
    return f"{value:.0f} px" if name == "size" else f"{value:.3g}"


def middle(name: str, found: Range | None) -> str:
    """The middle of a range, as text."""
    return format_measure(name, found.middle if found is not None else None)


def chance(row: Row) -> str:
    """The share of held-out samples that are at least as far away."""
    return percent(row.measure.chance, 1)


def verdict(row: Row) -> str:
    """ok, DRIFTED, or ignored."""
    if row.ignored:
        return "ignored"
    return "DRIFTED" if row.drifted else "ok"


def _line(row: Row) -> dict[str, str]:
    name = row.measure.name
    return {
        "measure": name,
        "training": middle(name, row.reference),
        "new": middle(name, row.new),
        "statistic": f"{row.measure.statistic:.4f}",
        "median": f"{row.measure.median:.4f}",
        "limit": f"{row.measure.limit:.4f}",
        "as far": chance(row),
        "verdict": verdict(row),
    }
