"""How much benchmarks/gpu.py measures, and a row of its table."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    classes and images of the small data; batch: classes x images of a training batch; arguments of methods by name.
    """

    steps: int
    classes: int
    images: int
    size: int
    batch: tuple[int, int]
    speed_steps: int
    calls: int
    losses: tuple[int, ...]
    vit_size: int
    vit_batch: tuple[int, int]
    tasks: tuple[int, ...]
    episodes: int
    arguments: Mapping[str, Mapping[str, int]]


FEW_INNER_STEPS = {name: {"steps": 2, "test_steps": 2} for name in ("maml", "anil", "reptile")}
GPU = Scale(20, 80, 20, 28, (60, 6), 100, 30, (512, 2048), 224, (16, 4), (4, 32), 10_000, {})
TINY = Scale(4, 8, 6, 16, (5, 4), 12, 1, (32,), 32, (2, 2), (2,), 8, FEW_INNER_STEPS)


@dataclass(frozen=True)
class Row:
    """One line of the table. verdict: ok, BEYOND (its tolerance), FAILED, skipped, or '' for a figure alone."""

    case: str
    figure: str
    reference: str = ""
    verdict: str = ""
