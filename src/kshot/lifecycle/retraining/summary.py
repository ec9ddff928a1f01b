"""Summary of a retraining for a person: accuracies, data, version, decision."""

import json
import textwrap
from pathlib import Path

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.pipeline.durations import Times, readable
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.tables import columns
from kshot.lifecycle.retraining.outcome import Outcome
from kshot.params import project_name

REFUSED = "the settings in brackets stand in params.yaml; `kshot retrain` judges again"
TEXT_WIDTH = 64  # next to the names of the facts, on a terminal of 80 columns


def accuracy_table(root: Path) -> list[dict[str, str]]:
    """Return one row per protocol of reports/metrics.json, with every value as text."""
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    inference = metrics["inference"]
    mark = f" ({inference['by']})" if inference["transductive"] else ""
    return [
        {
            "protocol": protocol + mark,
            "accuracy": f"{100 * score['mean']:.2f} %",
            "95 % interval": f"[{100 * score['low']:.2f}, {100 * score['high']:.2f}]",
            "episodes": f"{score['episodes']:,}",
        }
        for protocol, score in metrics["accuracy"].items()
    ]


def closing_text(root: Path, outcome: Outcome, times: Times) -> str:
    """The text at the end of a retraining: accuracies, data, version, decision with its reasons, time, pages."""
    data = data_versions.current(root)
    assert data is not None
    note = f", {data.note}" if data.note else ""
    first, *others = (*([outcome.answer] if outcome.answer else []), *outcome.reasons) or ("",)
    answer = f"kshot approve {outcome.version}, or kshot reject {outcome.version} --reason ..."
    facts = [
        ("data version", f"{data.short}  {data.images:,} images of {data.classes:,} classes{note}"),
        ("model", f"{project_name.of(root)} version {outcome.version}, run {outcome.run_id[:8]}"),
        *_wrapped("champion", f"{verdict(outcome)}: {first}"),
        *(row for reason in others for row in _wrapped("", reason)),
        *(_wrapped("to change it", REFUSED) if outcome.decision == "refused" else []),
        *(_wrapped("answer with", answer) if outcome.until else []),
        *_wrapped("time", time_taken(times)),
        ("report", layout.REPORT.as_posix()),
        ("look further", "kshot ui"),
    ]
    result = f"version {outcome.version} (run {outcome.run_id[:8]})"
    start = f"nothing changed: {result} is the result\n\n" if outcome.repeated else ""
    return start + "\n".join([*columns(accuracy_table(root)), "", *(f"  {name:<14}{value}" for name, value in facts)])


def _wrapped(name: str, text: str) -> list[tuple[str, str]]:
    first, *rest = textwrap.wrap(text, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return [(name, first), *(("", f"  {line}") for line in rest)]


def time_taken(times: Times) -> str:
    """The total time, the time of each stage that did something, and the unchanged stages."""
    at_work = [f"{one.stage} {readable(one.seconds)}" for one in times.stages if one.outcome != "unchanged"]
    unchanged = [one.stage for one in times.stages if one.outcome == "unchanged"]
    parts = [", ".join(at_work), f"unchanged {', '.join(unchanged)}" if unchanged else ""]
    return f"{readable(times.total)}: {'; '.join(filter(None, parts))}"


def verdict(outcome: Outcome) -> str:
    """Whether the version is the champion."""
    if outcome.promoted:
        return "yes"
    if outcome.until:
        return f"waiting for approval until {outcome.until}"
    if outcome.decision in ("", "refused"):
        return "no, it stays challenger and nothing else changes"  # there may be no champion
    return f"no, it was {'rejected' if outcome.decision == 'expired' else outcome.decision}, and the champion serves on"
