"""Training steps of Conv-4 on this machine's CPU: memory handed back after each step, against memory kept.

Both run in processes of their own, one after the other, three times in turn; the medians are printed with their ratio.
"""

import statistics
import subprocess
import sys
import time

IMAGES, SIZE, STEPS = 360, 28, 25


def measure(keep: bool) -> float:
    """Milliseconds of one forward and backward pass, the median of STEPS."""
    from kshot.nets.memory import keep_freed_memory

    if keep:
        keep_freed_memory()
    import torch

    from kshot.nets.backbones.conv import conv4

    torch.manual_seed(0)
    network = conv4(channels=1, size=SIZE).to(memory_format=torch.channels_last)
    pixels = torch.rand(IMAGES, SIZE, SIZE, 1).permute(0, 3, 1, 2)
    times = []
    for _ in range(STEPS + 3):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            points = network(pixels)
        points.float().square().mean().backward()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[3:])


def main() -> None:
    """Measure both by turns and print the comparison."""
    found: dict[str, list[float]] = {"back": [], "kept": []}
    for _ in range(3):
        for mode, times in found.items():
            command = [sys.executable, __file__, mode]
            times.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    back, kept = (statistics.median(times) for times in found.values())
    print(f"handed back: {back:.0f} ms a step, {1000 * IMAGES / back:,.0f} images/s")
    print(f"kept:        {kept:.0f} ms a step, {1000 * IMAGES / kept:,.0f} images/s")
    print(f"ratio:       {back / kept:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(keep=sys.argv[1] == "kept"))
    else:
        main()
