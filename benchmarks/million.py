"""Seconds and memory of every stage at 10,000, 100,000 or a million images, in a real project, as a table.

    python benchmarks/million.py [--folder FOLDER] [IMAGES ...]    # 10000 100000 if none is given

Ten images a class, 28 x 28 pixels, a random pattern a class and noise an image. Each size is a project of its own:
`kshot init`, `kshot data add`, `kshot retrain`. Processes are watched in /proc, so this runs on Linux alone. Processor
seconds are user and system; memory is the highest resident set of one process, with the mapped pages of its files.
A million images need 20 GB of disk below FOLDER, and three million inodes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

OF_CLASS, SIDE, CELL = 10, 28, 7
SETTINGS = ("episodes.n_query=5", "train.steps=20", "gate.min_accuracy={5w1s: 0.0}")
STAGES = ("ingest", "split", "validate", "episodes", "embed", "train", "evaluate")
PAUSE = 0.1  # seconds between two looks at /proc
TICK, KIB = os.sysconf("SC_CLK_TCK"), 1024


@dataclass
class Process:
    """What was last seen of a process: what it works on, its seconds, and its highest memory in bytes."""

    part: str
    began: float
    ended: float = 0.0
    processor: float = 0.0
    peak: int = 0


def main() -> None:
    """Print one table for all sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where the projects are made; default: a temporary folder")
    given = parser.parse_args()
    print("| images | | seconds | processor seconds | peak memory |", "|--:|---|--:|--:|--:|", sep="\n", flush=True)
    for images in given.images:
        with tempfile.TemporaryDirectory(prefix="kshot-million-", dir=given.folder) as folder:
            for part, row in measured(Path(folder), images).items():
                print(f"| {images:,} | {part} | {row} |", flush=True)


def measured(folder: Path, images: int) -> dict[str, str]:
    """One project of so many images, from nothing to its first model: part of the work to its row."""
    source = folder / "source"
    draw(source, images // OF_CLASS)
    kshot(folder, "init", "million")
    root = folder / "million"
    added: dict[int, Process] = {}
    with watched(added):
        kshot(root, "data", "add", str(source))
    seen: dict[int, Process] = {}
    with watched(seen):
        kshot(root, "retrain", *(word for one in SETTINGS for word in ("--set", one)))
    rows = {"`kshot data add`": list(added.values())}
    for stage in STAGES:
        rows[f"stage {stage}"] = [one for one in seen.values() if one.part == stage]
        rows[f"DVC around {stage}"] = [one for one in seen.values() if one.part == f"dvc {stage}"]
    rows["the rest of `kshot retrain`"] = [one for one in seen.values() if one.part == "kshot"]
    return {part: row(found) for part, found in rows.items() if found}


def draw(folder: Path, classes: int) -> None:
    """Write the images: grey PNG files of `OF_CLASS` images in each class folder."""
    rng = np.random.default_rng(0)
    for number in range(classes):
        place = folder / f"group{number // 100:04}" / f"class{number:06}"
        place.mkdir(parents=True)
        pattern = np.kron(rng.integers(0, 200, (SIDE // CELL, SIDE // CELL)), np.ones((CELL, CELL), dtype=np.int64))
        noisy = pattern + rng.integers(0, 56, (OF_CLASS, SIDE, SIDE))
        for image, pixels in enumerate(noisy.astype(np.uint8)):
            Image.fromarray(pixels).save(place / f"{image}.png", compress_level=1)


def kshot(root: Path, *words: str) -> None:
    """Run a command of kshot; stop with what it printed if it fails."""
    ended = subprocess.run([sys.executable, "-m", "kshot.cli", *words], cwd=root, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"kshot {' '.join(words)}\n{ended.stdout}{ended.stderr}")


@contextmanager
def watched(seen: dict[int, Process]) -> Iterator[None]:
    """Note every process that this one starts, directly or not, in `seen`, until the block ends."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PAUSE):
            look(seen)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look(seen: dict[int, Process]) -> None:
    """Read /proc once: the processor seconds and the peak of each process below this one."""
    now, stats = time.monotonic(), {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended
            stats[int(place.name)] = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
    for pid, fields in stats.items():
        above = pid
        while above in stats and above != os.getpid():
            above = int(stats[above][1])
        if above != os.getpid() or pid == above:
            continue
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            status = Path(f"/proc/{pid}/status").read_text()
            found = seen.setdefault(pid, Process("", now))
            found.part, found.ended = part_of(words) or found.part, now
            found.processor = (int(fields[11]) + int(fields[12])) / TICK
            peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM 0")
            found.peak = max(found.peak, int(peak.split()[1]) * KIB)


def part_of(words: list[str]) -> str:
    """The part of the work that a command line belongs to: a stage, DVC for a stage, or kshot itself."""
    stage = next((word for word in words if word.startswith("kshot.lifecycle.stages.")), "")
    if stage:
        return stage.rpartition(".")[2] if "-m" in words else ""
    if "repro" in words:
        return f"dvc {next((word for word in words if word in STAGES), '')}"
    return "kshot" if words != [""] else ""


def row(found: list[Process]) -> str:
    """Seconds, processor seconds and peak memory of these processes as cells."""
    seconds = max(one.ended for one in found) - min(one.began for one in found)
    return (
        f"{seconds:,.0f} | {sum(one.processor for one in found):,.0f} | {max(one.peak for one in found) / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
