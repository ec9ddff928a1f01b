"""How many processes train: the setting `train.processes` on the machine at hand."""

import torch

from kshot.errors import ParamsError
from kshot.params.sections.train import Train


def process_count(train: Train, device: torch.device) -> int:
    """The number of processes that train on `device` of this machine, one a GPU.

    auto: all GPUs, if the method can be shared and a batch has an image for each; 1 on other devices, and where nothing
    is trained. Raises ParamsError for more processes than the machine has GPUs, and for several on MPS.
    """
    wanted = train.processes
    gpus = torch.cuda.device_count() if device.type == "cuda" else 1
    if wanted == "auto":
        return most_processes(train, gpus)
    if device.type == "cuda" and wanted > gpus:
        raise ParamsError(
            f"params.yaml: train.processes is {wanted}, and this machine has {gpus} GPU{'s' * (gpus > 1)}; needs a GPU "
            f"for each process: set {gpus} or auto, or train.device: cpu"
        )
    if device.type == "mps" and wanted > 1:
        raise ParamsError(f"params.yaml: train.processes is {wanted}; MPS has one device: set 1 or auto")
    return wanted


def most_processes(train: Train, gpus: int) -> int:
    """The number of processes for `train.processes: auto` with so many GPUs, at least 1."""
    learns = train.network.adaptation != "frozen"
    return max(1, min(gpus, train.batch.size)) if train.can_be_shared and learns else 1
