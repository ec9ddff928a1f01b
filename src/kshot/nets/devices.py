"""Chooses the device: CPU, CUDA or MPS."""

import torch

from kshot.errors import ParamsError


def choose_device(name: str) -> torch.device:
    """The device that `name` (auto, cpu, cuda, mps) means on this machine. Raises ParamsError if it has none."""
    here = present()
    if name == "auto":
        name = here[0]
    if name not in here:
        raise ParamsError(f"params.yaml: train.device is {name}, but this machine only has: {', '.join(here)}")
    return torch.device(name)


def chosen_or_best(name: str) -> torch.device:
    """As `choose_device`, but the fastest device of this machine if it does not have the one that `name` means."""
    return choose_device(name if name in present() else "auto")


def present() -> list[str]:
    """The kinds of device of this machine, fastest first."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, here in found.items() if here]
