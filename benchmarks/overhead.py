"""What a retraining costs beyond its stages' own work: seconds and share of the whole, in a fresh clone of this commit.

    python benchmarks/overhead.py                        the default run: the built-in set, params.yaml as it is
    python benchmarks/overhead.py --set train.steps=100  arguments are passed on to `kshot retrain`

The stages' work is what .kshot/stages.jsonl records of each, from the call of DVC to its end. The rest is overhead:
imports, Prefect's server, MLflow's run, the registry, the gate, the report. Leave the machine alone meanwhile: on a
busy one the figures say how busy it is.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MOST_S, MOST_SHARE = 20.0, 0.15  # what the overhead of the default run should stay below


def main(arguments: list[str]) -> None:
    """Retrain from nothing, then with another seed, then with nothing changed, and print where the time went."""
    with tempfile.TemporaryDirectory(prefix="kshot-overhead-") as folder:
        root = Path(folder) / "project"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(root)], check=True)
        before = load()
        kshot(root, "data", "add", "glyphs")
        first = kshot(root, "retrain", *arguments)
        stages = recorded(root)
        later = kshot(root, "retrain", "--set", "train.seed=1")
        after = recorded(root)[len(stages) :]
        again = kshot(root, "retrain")
    print("| stage | seconds |", "|---|---|", sep="\n")
    for name, seconds in stages:
        print(f"| {name} | {seconds:.1f} |")
    work = sum(seconds for _, seconds in stages)
    print(f"| all stages | {work:.1f} |\n")
    print("| retraining | seconds | beyond its stages | of a run with every stage |", "|---|---|---|---|", sep="\n")
    for name, whole, own in (
        ("the first, which makes Prefect's and MLflow's databases", first, work),
        ("a later one, train.seed=1", later, sum(seconds for _, seconds in after)),
        ("again, nothing changed", again, 0.0),
    ):
        over = whole - own
        print(f"| {name} | {whole:.1f} | {over:.1f} | {100 * over / (work + over):.1f} % |")
    print(f"\nwanted: less than {MOST_S:.0f} s and {100 * MOST_SHARE:.0f} %")
    print(f"load of the machine before and after: {before:.1f}, {load():.1f} on {os.cpu_count()} cores")


def kshot(root: Path, *arguments: str) -> float:
    """Run a command of the clone's own kshot; its seconds."""
    path = os.pathsep.join([str(root / "src"), str(root)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "kshot.cli", *arguments],
        cwd=root,
        env={**kept, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - began


def recorded(root: Path) -> list[tuple[str, float]]:
    """Stages and their seconds as the project records them."""
    lines = (root / ".kshot/stages.jsonl").read_text(encoding="utf-8").splitlines()
    return [(line["stage"], line["seconds"]) for line in map(json.loads, lines)]


def load() -> float:
    """Processes that ran or wanted to, over the last minute."""
    return os.getloadavg()[0]


if __name__ == "__main__":
    main(sys.argv[1:])
