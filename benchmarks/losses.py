"""Losses and mining against pytorch-metric-learning: forward and backward, time and peak memory, side by side.

Every case is measured in a process of its own, ours and the peer's by turns, three times; the medians are printed as a
table with their ratio. `floor` is one product of B x D with D x B in float32. Memory is what the process's peak grows
by over what it held before the first call, and a process may take 16 GB. `python benchmarks/losses.py cuda` measures on
a GPU.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

IMAGES_PER_CLASS, DIM, MARGIN, TEMPERATURE = 8, 128, 0.2, 0.1
ROUNDS, CALLS = 3, 15
SIZES = (512, 2048)
MEMORY = 16 * 2**30  # bytes that a process may take; who needs more is shown as a dash
CASES = (
    "batch_all",
    "semi_hard",
    "batch_hard",
    "contrastive",
    "nt_xent",
    "supervised_contrastive",
    "lifted_structure",
)


def ours(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Our loss, as `train.loss.name` and `train.loss.mining` would choose it."""
    from kshot.losses import (
        contrastive_loss,
        lifted_structure_loss,
        nt_xent_loss,
        supervised_contrastive_loss,
        triplet_loss,
    )

    return {
        "batch_all": lambda x, y: triplet_loss(x, y, MARGIN, "batch_all_nonzero"),
        "semi_hard": lambda x, y: triplet_loss(x, y, MARGIN, "semi_hard"),
        "batch_hard": lambda x, y: triplet_loss(x, y, MARGIN, "batch_hard"),
        "contrastive": lambda x, y: contrastive_loss(x, y, 1.0),
        "nt_xent": lambda x, y: nt_xent_loss(x, y, TEMPERATURE),
        "supervised_contrastive": lambda x, y: supervised_contrastive_loss(x, y, TEMPERATURE),
        "lifted_structure": lambda x, y: lifted_structure_loss(x, y, 1.0),
    }[name]


def peers(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The same loss of pytorch-metric-learning; where reductions differ, that is one sum over the same terms."""
    from pytorch_metric_learning import distances, losses, miners

    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    plain = distances.LpDistance(normalize_embeddings=False)
    triplet = losses.TripletMarginLoss(margin=MARGIN, distance=squared)
    semi_hard = miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=squared)
    batch_hard = miners.BatchHardMiner(distance=squared)
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "batch_all": triplet,
        "semi_hard": lambda x, y: triplet(x, y, semi_hard(x, y)),
        "batch_hard": lambda x, y: triplet(x, y, batch_hard(x, y)),
        "contrastive": losses.ContrastiveLoss(pos_margin=0, neg_margin=1.0, distance=plain),
        "nt_xent": losses.NTXentLoss(TEMPERATURE),
        "supervised_contrastive": losses.SupConLoss(TEMPERATURE),
        "lifted_structure": losses.LiftedStructureLoss(neg_margin=1.0, pos_margin=0, distance=plain),
    }
    return found[name]


def floor(x: Tensor, y: Tensor) -> Tensor:
    """One B x B x D product, without which there is no distance matrix."""
    return x.detach() @ x.detach().T


def measure(who: str, name: str, size: int, device: str) -> dict[str, float]:
    """Milliseconds of a forward and backward pass, the median of CALLS, and the growth of peak memory in MB."""
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(size, DIM, generator=generator), dim=1).to(device)
    points.requires_grad_()
    labels = torch.arange(size, device=device) // IMAGES_PER_CLASS
    loss = {"ours": ours, "peer": peers, "floor": lambda _: floor}[who](name)  # type: ignore[no-untyped-call]
    # The libraries' own start-up memory is not the loss's: a small batch first.
    _once(loss, points[:16].detach().requires_grad_(), labels[:16])
    before = _peak(device)
    times = []
    for _ in range(CALLS + 2):
        points.grad = None
        started = time.perf_counter()
        _once(loss, points, labels)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - started))
        if sum(times) > 5_000:  # what takes seconds needs no fifteen calls
            break
    return {"ms": statistics.median(times[min(2, len(times) - 1) :]), "mb": _peak(device) - before}


def _once(loss: Callable[[Tensor, Tensor], Tensor], points: Tensor, labels: Tensor) -> None:
    value = loss(points, labels)
    if value.requires_grad:
        value.backward()  # type: ignore[no-untyped-call]


def _peak(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(who: str, name: str, size: int, device: str) -> dict[str, float] | None:
    """`measure` in a process of its own; None where it runs out of memory or fails."""
    command = [sys.executable, __file__, device, who, name, str(size)]
    found = subprocess.run(command, capture_output=True, text=True)
    return json.loads(found.stdout) if found.returncode == 0 else None


def main(device: str) -> None:
    """Measure every case and print the table."""
    print(f"{device}, {torch.get_num_threads()} threads, {IMAGES_PER_CLASS} images a class, D={DIM}")
    print("| loss | B | ours ms | peer ms | ratio | ours MB | peer MB | ratio | ours / floor |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in CASES:
        for size in SIZES:
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "peer": [], "floor": []}
            for _ in range(ROUNDS):
                for who, found in runs.items():
                    one = measured(who, name, size, device)
                    found += [one] if one else []
            ms = {who: statistics.median(run["ms"] for run in found) for who, found in runs.items() if found}
            mb = {who: max(1.0, statistics.median(run["mb"] for run in found)) for who, found in runs.items() if found}
            peer = [f"{ms['peer']:.1f}", f"{ms['peer'] / ms['ours']:.1f}"] if "peer" in ms else ["-", "-"]
            memory = [f"{mb['peer']:.0f}", f"{mb['peer'] / mb['ours']:.0f}"] if "peer" in mb else ["-", "-"]
            cells = [name, str(size), f"{ms['ours']:.1f}", *peer, f"{mb['ours']:.0f}", *memory]
            print(f"| {' | '.join(cells)} | {ms['ours'] / ms['floor']:.0f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        device, who, name, size = sys.argv[1:]
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        print(json.dumps(measure(who, name, int(size), device)))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
