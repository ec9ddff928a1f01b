"""The device chosen in a project's settings, for everything that runs a trained model."""

from pathlib import Path

import torch

from kshot.nets.devices import chosen_or_best
from kshot.params.reader import read_mapping


def project_device(root: Path) -> torch.device:
    """The device that `train.device` in the project's params.yaml names; for auto, the best of this machine.

    If this machine lacks that device, its best one is used: a model that was trained on a GPU can be audited, compared
    and evaluated on machines without one. Only training requires its device.
    """
    path = root / "params.yaml"
    name = (read_mapping(path).get("train") or {}).get("device", "auto") if path.exists() else "auto"
    return chosen_or_best(name)
