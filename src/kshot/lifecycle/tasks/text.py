"""Renders a survey of tasks as text for a terminal."""

import math

from kshot.lifecycle.pages.render import NONE, percent
from kshot.lifecycle.project.tables import columns
from kshot.lifecycle.tasks.survey import NEW, Survey
from kshot.lifecycle.tasks.task_row import TaskRow, Trust

LONGEST = 60  # rows on a terminal; the page and --json show all, and more than one known task each


def render_survey(found: Survey) -> str:
    """The table of tasks, warnings, and how far predictions can be trusted."""
    new = [row for row in found.rows if row.split == NEW]
    rows = new or list(found.rows)
    limits = {row.limit for row in rows if row.limit is not None}
    limit = limits.pop() if len(limits) == 1 else None  # one for all tasks: the header names it
    parts = ["\n".join(columns([_line(row, limit) for row in rows[:LONGEST]]))]
    if len(rows) > LONGEST:
        parts[0] += f"\n  and {len(rows) - LONGEST} more, all of them on the page"
    parts += [f"note: {note}" for note in found.notes]
    parts += [f"warning: {warning(row, found)}" for row in rows if row.is_outlier]
    if found.doubt:
        parts.append(f"note: {no_prediction(found)}")
    if not found.calibrated:
        parts.append(
            "note: the model was trained on the validation classes, so predictions are not fitted and there is no "
            "limit for outliers"
        )
    if found.trust:
        parts.append(
            "predicted from the support alone against measured, on the project's test episodes:\n"
            + "\n".join(columns([_trust_line(one) for one in found.trust]))
        )
    return "\n\n".join(parts)


def warning(row: TaskRow, found: Survey) -> str:
    """The warning about an outlier."""
    return (
        f"{row.name} lies outside what the model was trained for: {row.outlyingness:.2f}, where "
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


def _line(row: TaskRow, limit: float | None) -> dict[str, str]:
    name, distance = row.nearest[0] if row.nearest else ("", None)
    size = {"split": row.split, "protocol": f"{row.classes}w{row.shots:g}s"}
    if row.split == NEW:  # of any sizes: shots are a mean
        size = {"classes": str(row.classes), "shots": f"{row.shots:g}"}
    own_limit = f" of {row.limit:.2f}" if row.limit is not None and limit is None else ""
    return {
        "task": row.name.rpartition("/")[2],
        **size,
        "predicted": percent(row.predicted, 1),
        **({} if row.split == NEW else {"measured": percent(row.measured, 1)}),
        "outlyingness" if limit is None else f"outlyingness (limit {limit:.2f})": (
            f"{'YES, ' if row.is_outlier else ''}{row.outlyingness:.2f}{own_limit}"
        ),
        "nearest known task": NONE if distance is None else f"{name.rpartition('/')[2]}, {distance:.2f}",
    }


def _trust_line(trust: Trust) -> dict[str, str]:
    return {
        "protocol": trust.protocol,
        "episodes": str(trust.episodes),
        "predicted": percent(trust.predicted, 1),
        "measured": percent(trust.measured, 1),
        "rank correlation": correlation(trust),
    }
