"""Renders a survey of tasks as text for a terminal."""

import math

from kshot.lifecycle.pages.render import NONE, percent
from kshot.lifecycle.project.tables import columns
from kshot.lifecycle.tasks.survey import NEW, Survey
from kshot.lifecycle.tasks.task_row import TaskRow, Trust

LONGEST = 60  # rows on a terminal; the page and --json show all
NEAREST = 2


def render_survey(found: Survey) -> str:
    """The table of tasks, warnings, and how far predictions can be trusted."""
    new = [row for row in found.rows if row.split == NEW]
    rows = new or list(found.rows)
    parts = ["\n".join(columns([_line(row) for row in rows[:LONGEST]]))]
    if len(rows) > LONGEST:
        parts[0] += f"\n  and {len(rows) - LONGEST} more, all of them on the page"
    parts += [f"note: {note}" for note in found.notes]
    parts += [f"warning: {warning(row, found)}" for row in rows if row.is_outside]
    if found.doubt:
        parts.append(f"note: {no_prediction(found)}")
    if not found.calibrated:
        parts.append(
            "note: the model was trained on the validation classes, so predictions are set on nothing "
            "and nothing says what lies outside"
        )
    if found.trust:
        parts.append(
            "predicted from the support alone against measured, on the project's test episodes:\n"
            + "\n".join(columns([_trust_line(one) for one in found.trust]))
        )
    return "\n\n".join(parts)


def warning(row: TaskRow, found: Survey) -> str:
    """The warning about a task that is outside."""
    return (
        f"{row.name} lies outside what the model was trained for: {row.outside:.2f}, where "
        f"{100 * found.accept:.0f} % of validation tasks stay below {row.limit:.2f}; "
        + ("what was measured elsewhere may not hold for it" if found.doubt else "its predicted accuracy may not hold")
    )


def no_prediction(found: Survey) -> str:
    """Why no accuracy is predicted."""
    return f"no accuracy is predicted: {found.doubt}"


def correlation(trust: Trust) -> str:
    """Spearman's correlation with its interval; a dash if all predictions or all accuracies are equal."""
    mean, low, high = trust.correlation
    if math.isnan(mean):
        return NONE
    return f"{mean:.2f}" if math.isnan(low) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def place(row: TaskRow) -> str:
    """The outsideness of a task, and its limit."""
    if row.limit is None:
        return f"{row.outside:.2f}"
    return f"{'YES, ' if row.is_outside else ''}{row.outside:.2f} of {row.limit:.2f}"


def nearest(row: TaskRow, count: int) -> str:
    """The nearest known tasks with their distances."""
    return ", ".join(f"{name.rpartition('/')[2]} {distance:.2f}" for name, distance in row.nearest[:count])


def _line(row: TaskRow) -> dict[str, str]:
    return {
        "task": row.name.rpartition("/")[2],
        **({} if row.split == NEW else {"split": row.split}),
        "classes": str(row.classes),
        "shots": f"{row.shots:g}",
        "predicted": percent(row.predicted, 1),
        **({} if row.split == NEW else {"measured": percent(row.measured, 1)}),
        "outside": place(row),
        "nearest known tasks": nearest(row, NEAREST),
    }


def _trust_line(trust: Trust) -> dict[str, str]:
    return {
        "protocol": trust.protocol,
        "episodes": str(trust.episodes),
        "predicted": percent(trust.predicted, 1),
        "measured": percent(trust.measured, 1),
        "rank correlation": correlation(trust),
    }
