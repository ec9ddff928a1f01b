"""What a person wants to know after a retraining: the accuracies, the data, the version, the decision."""

import json
from collections.abc import Sequence
from pathlib import Path

from kshot.lifecycle import layout


def accuracy_table(root: Path) -> list[dict[str, str]]:
    """Return one row a protocol of reports/metrics.json, every value as a person reads it."""
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    return [
        {
            "protocol": protocol,
            "accuracy": f"{100 * score['mean']:.2f} %",
            "95 % interval": f"[{100 * score['low']:.2f}, {100 * score['high']:.2f}]",
            "episodes": f"{score['episodes']:,}",
        }
        for protocol, score in metrics["accuracy"].items()
    ]


def text(table: Sequence[dict[str, str]], facts: dict[str, str]) -> str:
    """Lay `table` out in columns, and below it each of `facts` as a label and a value."""
    lines = []
    if table:
        wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
        rows = [{key: key for key in wide}, *table]
        lines += ["  " + "  ".join(row[key].ljust(wide[key]) for key in wide).rstrip() for row in rows]
        lines.append("")
    label = max(map(len, facts), default=0)
    lines += [f"  {name.ljust(label)}  {value}" for name, value in facts.items()]
    return "\n".join(lines)
