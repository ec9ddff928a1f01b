"""Where the work is done: CPU, CUDA or MPS."""

import torch

from kshot.errors import ParamsError


def choose_device(name: str) -> torch.device:
    """The device that `name` (auto, cpu, cuda, mps) means here. Raises ParamsError where there is none."""
    here = present()
    if name == "auto":
        name = here[0]
    if name not in here:
        raise ParamsError(f"params.yaml: train.device is {name}, but this machine only has: {', '.join(here)}")
    return torch.device(name)


def chosen_or_best(name: str) -> torch.device:
    """As `choose_device`, and the fastest device of this machine where it has none that `name` means."""
    return choose_device(name if name in present() else "auto")


def present() -> list[str]:
    """The kinds of device that this machine has, the fastest first."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, here in found.items() if here]
