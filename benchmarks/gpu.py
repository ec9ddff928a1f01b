"""What kshot does on a GPU, in one Markdown table: equal to the CPU, how fast, how much memory.

    python benchmarks/gpu.py [--out FILE]      # on any CUDA card, at most 8 minutes
    python benchmarks/gpu.py --device cpu      # the same parts with tiny counts, which proves the script and no figure

It needs no data and no network. A part that cannot run here is skipped with the reason, and a failed one does not stop
the others. Exit code 1 if a figure is beyond its tolerance or a part failed.

The parts and their tolerances are in gpu_parts.py.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from gpu_parts import PARTS
from gpu_scale import GPU, TINY, Row, Scale

LIMIT_S = 460.0  # no part starts later, so that all end within 8 minutes


def run(device: torch.device, scale: Scale, began: float) -> Iterator[tuple[str, Row, float | None]]:
    """The rows of every part, with the most memory on the device up to there in MB, None without a GPU."""
    for name, part in PARTS.items():
        if time.monotonic() - began > LIMIT_S:
            yield name, Row("all", "-", f"{LIMIT_S:.0f} s are over", "skipped"), None
            continue
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            for row in part(device, scale):
                yield name, row, torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else None
        except Exception as error:  # whatever a card or its driver raises: the other parts are worth having
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            yield name, Row("stopped", "-", reason.replace("|", "/"), "FAILED"), None


def heading(device: torch.device, scale: Scale) -> str:
    """What was measured on."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, tiny counts: these figures measure nothing"
    return f"{name}; torch {torch.__version__}, {torch.get_num_threads()} threads; {scale.steps} steps a method\n"


def main(arguments: list[str]) -> int:
    """Print the table, or write it to --out, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("this machine has no CUDA card that torch can use; needs one, or --device cpu for tiny counts")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device, scale = torch.device(options.device), GPU if options.device == "cuda" else TINY
    began = time.monotonic()
    lines = [heading(device, scale), "| part | case | here | beside | verdict | peak MB |", "|---|---|---|---|---|---|"]
    verdicts = []
    for name, row, memory in run(device, scale, began):
        peak = "" if memory is None else f"{memory:,.0f}"
        lines.append(f"| {name} | {row.case} | {row.figure} | {row.reference} | {row.verdict} | {peak} |")
        verdicts.append(row.verdict)
        print(f"{time.monotonic() - began:5.0f} s  {name}: {row.case}  {row.verdict}", file=sys.stderr, flush=True)
    lines.append(f"\n{time.monotonic() - began:.0f} s in all.")
    text = "\n".join(lines) + "\n"
    if options.out is None:
        print(text, end="")
    else:
        options.out.write_text(text, encoding="utf-8")
    return 1 if {"BEYOND", "FAILED"} & set(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
