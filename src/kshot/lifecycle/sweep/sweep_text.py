"""Renders a sweep as a table and sentences for a person."""

import math

from kshot.first_few import first_few
from kshot.lifecycle.pages.render import NONE
from kshot.lifecycle.pipeline.durations import readable
from kshot.lifecycle.project.tables import columns, counted, fold
from kshot.lifecycle.sweep.choice import SAME_BY_HOLM, WORSE, Compared
from kshot.lifecycle.sweep.sweep import Sweep


def table(found: Sweep) -> list[dict[str, str]]:
    """One row a finished trial, best first: settings, accuracy, difference from the best, verdict, training time.

    A dash is a setting that the trial leaves as it is in params.yaml. The page has more columns.
    """
    keys = list(dict.fromkeys(key for one in found.rows for key in values(one)))
    names = {key: key.partition(".")[2] for key in keys}
    unique = len(set(names.values())) == len(keys)
    return [
        {
            "trial": str(one.trial.number),
            **{names[key] if unique else key: values(one).get(key, NONE) for key in keys},
            "accuracy": f"{100 * one.accuracy.mean:.2f} %",
            "vs best, pp": difference(one),
            "verdict": one.verdict,
            "training": readable(one.result.seconds),
        }
        for one in found.rows
    ]


def values(one: Compared) -> dict[str, str]:
    """The settings of a trial by dotted name."""
    return {key: value for key, _, value in (text.partition("=") for text in one.trial.sets)}


def text(found: Sweep) -> str:
    """The table, the meaning of its figures, the failed trials and the verdict."""
    lines = columns(table(found)) if found.rows else []
    if found.rows:
        lines += ["", *fold(measured(found)), *fold(verdict(found))]
    if found.failed:
        lines += ["", f"{counted(len(found.failed), 'trial')} failed; the same command tries again:"]
        lines += [f"  trial {one.trial.number} ({one.trial.text}): {one.trouble}" for one in found.failed]
    return "\n".join(lines)


def measured(found: Sweep) -> str:
    """The episodes that the accuracies were measured on."""
    result, classifiers = found.rows[0].result, {one.result.by for one in found.rows}
    by = result.by if len(classifiers) == 1 else "each trial's own classifier"
    return (
        f"Accuracy on the {len(result.accuracies):,} validation episodes of {result.protocol}, by {by}; "
        "differences are paired by episode, with 95 % intervals, and the verdict is corrected for the number of trials "
        "by Holm's method. The best was chosen on these episodes, so that its accuracy is optimistic: "
        "the test episodes are predicted by `kshot retrain` only."
    )


def verdict(found: Sweep) -> str:
    """How clear the choice is."""
    best, others = found.rows[0].trial, found.rows[1:]
    if not others:
        return f"Trial {best.number} is the only one that finished."
    worse = [one for one in others if one.verdict == WORSE]
    if len(worse) == len(others):
        return f"Trial {best.number} is the best."
    same = [str(one.trial.number) for one in others if one.verdict != WORSE]
    return f"Trial {best.number} is the best, with no difference shown from {first_few(same, 8)}."


def difference(one: Compared) -> str:
    """The difference from the best in percentage points, with its interval."""
    if one.difference is None:
        return NONE
    return f"{100 * one.difference.mean:+.2f} {bounds(one.difference.low, one.difference.high, '+')}"


def bounds(low: float, high: float, sign: str = "") -> str:
    """An interval of shares in per cent; a dash if it has no ends."""
    if math.isnan(low) or math.isnan(high):
        return NONE
    return f"[{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"


def note(one: Compared) -> str:
    """An explanation of the verdict, as a tooltip."""
    return "the interval excludes 0, but not after the correction" if one.verdict == SAME_BY_HOLM else ""
