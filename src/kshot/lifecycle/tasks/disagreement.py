"""Withholds predicted accuracies that differ too much from the measured accuracies of the same project."""

from collections.abc import Sequence

from kshot.lifecycle.tasks.task_row import TaskRow, Trust

FARTHEST = 0.05  # largest mean difference between predicted and measured accuracies
FEWEST_TASKS = 3  # of the project's own: two small tasks can differ by that much by chance


def disagreement(rows: Sequence[TaskRow], trust: Sequence[Trust]) -> str:
    """Why predictions cannot be trusted, where they can be compared with measured accuracies; "" if they agree.

    Compared are the means over the test episodes of each protocol, and the project's own tasks that the model was not
    trained on, if there are at least FEWEST_TASKS.
    """
    needed = f"needs at most {100 * FARTHEST:.0f} points"
    for one in trust:
        if one.predicted is not None and abs(one.predicted - one.measured) > FARTHEST:
            return (
                f"over {one.episodes} test episodes of {one.protocol} the predictions are {100 * one.predicted:.1f} % "
                f"and the measured ones {100 * one.measured:.1f} % on average; {needed} apart"
            )
    apart = [
        (abs(row.predicted - row.measured), row)
        for row in rows
        if row.predicted is not None and row.measured is not None
    ]
    mean = sum(gap for gap, _ in apart) / max(1, len(apart))
    if len(apart) < FEWEST_TASKS or mean <= FARTHEST:
        return ""
    _, worst = max(apart, key=lambda pair: pair[0])
    return (
        f"over {len(apart)} tasks that the model was not trained on, predictions and measured accuracies differ by "
        f"{100 * mean:.1f} points on average, most for {worst.name}; {needed}"
    )
