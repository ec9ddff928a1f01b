"""What a person wants to know after a retraining: the accuracies, the data, the version, the decision."""

import json
from collections.abc import Sequence
from pathlib import Path

from kshot.lifecycle import dataset, layout
from kshot.lifecycle.retraining import Outcome


def accuracy_table(root: Path) -> list[dict[str, str]]:
    """Return one row a protocol of reports/metrics.json, every value as a person reads it."""
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    mark = f" ({metrics['answering']['by']})" if metrics["answering"]["transductive"] else ""
    return [
        {
            "protocol": protocol + mark,
            "accuracy": f"{100 * score['mean']:.2f} %",
            "95 % interval": f"[{100 * score['low']:.2f}, {100 * score['high']:.2f}]",
            "episodes": f"{score['episodes']:,}",
        }
        for protocol, score in metrics["accuracy"].items()
    ]


def closing_words(root: Path, outcome: Outcome) -> str:
    """What stands at the end of a retraining: accuracies, data, version, decision with its reasons, where to look."""
    data = dataset.current(root)
    assert data is not None
    note = f", {data.note}" if data.note else ""
    verdict = "yes" if outcome.promoted else "no, it stays challenger and the champion serves on"
    first, *others = outcome.reasons or ("",)
    facts = [
        ("data version", f"{data.short}  {data.images:,} images of {data.classes:,} classes{note}"),
        ("model", f"kshot version {outcome.version}, run {outcome.run_id[:8]}"),
        ("champion", f"{verdict}: {first}"),
        *(("", reason) for reason in others),
        ("report", layout.REPORT.as_posix()),
        ("look further", "kshot ui"),
    ]
    start = "nothing has changed: this run and this version hold the answer already\n\n" if outcome.repeated else ""
    return start + "\n".join([*columns(accuracy_table(root)), "", *(f"  {name:<14}{value}" for name, value in facts)])


def columns(table: Sequence[dict[str, str]]) -> list[str]:
    """Return `table` as lines of aligned columns, the keys above."""
    if not table:
        return []
    wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    rows = [{key: key for key in wide}, *table]
    return ["  " + "  ".join(row[key].ljust(wide[key]) for key in wide).rstrip() for row in rows]
