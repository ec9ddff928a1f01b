"""Adaptations of a pretrained network on 3,676 photographs of groceries, each by `kshot retrain`, as a table.

    python benchmarks/groceries.py FOLDER [ROW ...]    # needs kshot[photographs] and ../shared/data/groceries.zip

FOLDER gets the project, with the settings that `kshot init --images` writes. The rows are ROWS below, all if none is
named; each changes a few settings. Every row predicts the same 1,000 test episodes a protocol, of 13 classes that no
training has seen. FOLDER/rows.json collects the results, so that rows can run one by one; the table is printed at the
end. Settings were chosen on the 10 validation classes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "shared/data/groceries.zip"
PROTOCOLS = ("5w1s", "5w5s", "10w1s")
WHOLE = {"train.projection.reduce.dim": "null"}
PLAIN = {"train.network.features": "[]", "train.projection.dim": "null", **WHOLE}
FROZEN = {**PLAIN, "train.network.adaptation": "frozen"}
TRAINED = {
    **PLAIN,
    "train.network.input_size": "null",
    "train.augment": "{preset: photographs}",
    "train.batch.classes": "10",
    "train.batch.images": "4",
    "train.validation.every": "20",
    "train.validation.protocol": "5w1s",
    "train.method.arguments": "{distance: cosine, learn_temperature: true}",
}
ROWS: dict[str, Mapping[str, str]] = {
    "projection": {},
    "projection without principal components": WHOLE,
    "projection of the output alone": {"train.network.features": "[]", **WHOLE},
    "frozen": {**FROZEN, "train.method.arguments": "{distance: cosine, learn_temperature: false}"},
    "lora": {
        **TRAINED,
        "train.network.adaptation": "lora",
        "train.optimizer.learning_rate": "0.001",
        "train.steps": "60",
        "evaluate.views": "2",
    },
    "lora, 200 steps": {
        **TRAINED,
        "train.network.adaptation": "lora",
        "train.optimizer.learning_rate": "0.001",
        "train.steps": "200",
        "evaluate.views": "2",
    },
    "lora, 200 steps, the projection's features": {
        **TRAINED,
        "train.network.features": "[blocks.4, blocks.6, output]",
        "train.network.adaptation": "lora",
        "train.optimizer.learning_rate": "0.001",
        "train.steps": "200",
        "evaluate.views": "2",
    },
    "full": {
        **TRAINED,
        "train.network.adaptation": "full",
        "train.optimizer.learning_rate": "0.0001",
        "train.steps": "60",
        "evaluate.views": "2",
    },
    "scratch": {
        **TRAINED,
        "ingest.size": "84",
        "train.network.backbone": "conv4",
        "train.network.checkpoint": "null",
        "train.network.adaptation": "full",
        "train.method.name": "metric",
        "train.method.arguments": "{}",
        "train.batch.classes": "16",
        "train.batch.images": "5",
        "train.optimizer.learning_rate": "0.001",
        "train.steps": "600",
        "train.validation.every": "100",
        "evaluate.views": "2",
    },
}


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "groceries"
    if not root.exists():
        kshot(folder, "init", root.name, "--images", str(SOURCE))
    fitted = (root / "params.yaml").with_suffix(".fitted")
    if not fitted.exists():
        fitted.write_bytes((root / "params.yaml").read_bytes())
    results = folder / "rows.json"
    rows = json.loads(results.read_text()) if results.exists() else {}
    for name in names:
        (root / "params.yaml").write_bytes(fitted.read_bytes())
        began = time.monotonic()
        kshot(root, "retrain", *(word for key, value in ROWS[name].items() for word in ("--set", f"{key}={value}")))
        rows[name] = row(root, time.monotonic() - began)
        results.write_text(json.dumps(rows, indent=2) + "\n")
    print("| adaptation | " + " | ".join(PROTOCOLS) + " | validation | training | whole run | memory |")
    print("|---|" + "--:|" * (len(PROTOCOLS) + 4))
    for name, found in rows.items():
        accuracy = " | ".join(f"{100 * found[protocol]:.1f} %" for protocol in PROTOCOLS)
        print(
            f"| {name} | {accuracy} | {found['validation']} | {found['training_s']:.0f} s | {found['whole_s']:.0f} s"
            f" | {found['memory_gb']:.1f} GB |"
        )


def kshot(folder: Path, *words: str) -> None:
    """Run a verb of kshot in `folder`; a challenger that is refused (2) is measured too."""
    code = subprocess.run([Path(sys.executable).with_name("kshot"), *words], cwd=folder, check=False).returncode
    if code not in (0, 2):
        sys.exit(f"kshot {' '.join(words)} ended with {code}")


def row(root: Path, seconds: float) -> dict[str, Any]:
    """The figures of the last run."""
    metrics = json.loads((root / "reports/metrics.json").read_text())
    log = [json.loads(line) for line in (root / "reports/train.jsonl").read_text().splitlines()]
    validated = [line["val_accuracy"] for line in log if "val_accuracy" in line]
    return {
        **{name: metrics["accuracy"][name]["mean"] for name in PROTOCOLS},
        "validation": f"{100 * max(validated):.1f} %" if validated else "",
        "training_s": log[-1]["seconds"],
        "whole_s": seconds,
        "memory_gb": log[-1]["peak_memory_mb"] / 1000,
    }


if __name__ == "__main__":
    if len(sys.argv) < 2 or set(sys.argv[2:]) - set(ROWS):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or list(ROWS))
