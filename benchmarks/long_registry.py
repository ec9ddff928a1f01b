"""Seconds of the commands that read a registry, on one of a thousand runs and two hundred versions beside a small one.

    python benchmarks/long_registry.py

The runs are rows in the tables of MLflow's database, as a retraining leaves them; all of them trained on one data
version. A command's time is that of the whole process, from the shell's view.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY)]

from tests.lifecycle import registered_versions  # noqa: E402

MOST_S = 5.0
COMMANDS = (("models",), ("audit", "--model", "2"), ("audit", "--data", registered_versions.DATA), ("history",))


def main() -> None:
    """Make both registries in a temporary folder, ask each command of both, and print the seconds."""
    with tempfile.TemporaryDirectory(prefix="kshot-registry-") as folder:
        small = registered_versions.write(Path(folder))
        registered_versions.without_git(small)
        long = registered_versions.copy(small, Path(folder) / "long")
        registered_versions.fill(long, runs=1000, versions=200)
        bare = [sys.executable, "-c", "import mlflow.store.tracking.sqlalchemy_store"]
        print(f"MLflow's own imports, without which no registry opens: {min(timed(bare) for _ in range(3)):.1f} s\n")
        print("| command | small registry | 1,000 runs, 200 versions | under 5 s |", "|---|---|---|---|", sep="\n")
        for command in COMMANDS:
            short_s, long_s = (min(seconds(root, command) for _ in range(3)) for root in (small, long))
            print(f"| `kshot {' '.join(command)[:24]}` | {short_s:.1f} | {long_s:.1f} | {long_s < MOST_S} |")


def seconds(root: Path, command: tuple[str, ...]) -> float:
    """Wall-clock seconds of `kshot COMMAND` in the project at `root`."""
    return timed([sys.executable, "-m", "kshot.cli", *command], root)


def timed(command: list[str], root: Path = REPOSITORY) -> float:
    """Wall-clock seconds of a command. An audit ends with an exit code: this registry's data is in no cache."""
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    began = time.monotonic()
    ended = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    taken = time.monotonic() - began
    if ended.returncode and not ended.stdout.strip():
        raise SystemExit(ended.stderr)
    return taken


if __name__ == "__main__":
    main()
