"""Where the work is done: CPU, CUDA or MPS."""

import torch

from kshot.errors import ParamsError


def choose_device(name: str) -> torch.device:
    """The device that `name` (auto, cpu, cuda, mps) means here. Raises ParamsError where there is none."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, here in present.items() if here)
    if not present[name]:
        here = ", ".join(kind for kind, found in present.items() if found)
        raise ParamsError(f"params.yaml: train.device is {name}, which this machine has not; it has {here}")
    return torch.device(name)
