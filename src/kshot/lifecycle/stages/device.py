"""The device that a project's settings choose, for everything that runs a trained model."""

from pathlib import Path

import torch

from kshot.nets.devices import chosen_or_best
from kshot.params.reader import read_mapping


def project_device(root: Path) -> torch.device:
    """The device that `train.device` of the project's params.yaml names; the best of this machine for auto.

    The best of this machine too where it lacks that one: a model that was trained on a GPU is audited, compared and
    measured on machines without. Training alone insists on its device.
    """
    path = root / "params.yaml"
    name = (read_mapping(path).get("train") or {}).get("device", "auto") if path.exists() else "auto"
    return chosen_or_best(name)
