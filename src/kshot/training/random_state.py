"""Seeds, stores and restores every random generator of the process, and sets torch's deterministic mode."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed the generators of torch, on every device, of numpy and of Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global one
    random.seed(seed)


def make_deterministic(seed: int) -> None:
    """Seed everything and make torch deterministic.

    The same seed then gives bit-identical weights on the same machine with the same number of threads.
    """
    seed_everything(seed)
    # The same as torch.use_deterministic_algorithms(True), which would also import torch's compiler (1.5 s).
    torch.set_deterministic_debug_mode("error")
    # Deterministic mode also fills fresh memory, which costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """Apply `make_deterministic` inside a block; restores the generators and torch's modes afterwards."""
    tensors, others = random_state(device)
    mode = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        make_deterministic(seed)
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        restore_random_state(tensors, others, device)


def random_state(device: torch.device) -> tuple[dict[str, Tensor], str]:
    """The states of torch's generators for the CPU and `device`, and of Python and numpy as JSON."""
    tensors = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        tensors["mps"] = torch.mps.get_rng_state()
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return tensors, json.dumps({"python": random.getstate(), "numpy": [kind, np.asarray(keys).tolist(), *rest]})


def restore_random_state(tensors: dict[str, Tensor], others: str, device: torch.device) -> None:
    """Restore the states from `random_state`; generators of devices that the other machine lacked do not change."""
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
    if device.type == "mps" and "mps" in tensors:
        torch.mps.set_rng_state(tensors["mps"])
    found = json.loads(others)
    version, keys, gauss = found["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, state, *rest = found["numpy"]
    np.random.set_state((kind, np.array(state, dtype=np.uint32), *rest))  # noqa: NPY002
