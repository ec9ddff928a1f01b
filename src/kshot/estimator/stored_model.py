"""Reads the parts of a trained model from a folder or an MLflow registry, and writes them into a folder."""

import importlib
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError

from kshot import plugins
from kshot.classifiers import OWN
from kshot.errors import CheckpointError, ParamsError
from kshot.evaluation.inference import (
    INFERENCE_FILE,
    Inference,
    evaluates,
    inference_file,
    inference_method,
    inference_of,
    load_inference,
    save_inference,
)
from kshot.methods.method import Method
from kshot.methods.saving import METRIC, require_plugins, save_method
from kshot.nets.devices import choose_device
from kshot.nets.embedding import SETTINGS, load_settings
from kshot.params.methods import METHODS

REGISTERED = "models:/"
INSIDE = Path("artifacts/embedding")  # of the folder that MLflow keeps a registered model in
EVALUATED = Path("reports/evaluation")  # of a project, next to its folder model/


def stored_model(model: str | Path, device: str = "auto") -> tuple[Method, Inference]:
    """The network of a stored model and its inference settings; arguments and errors as in `kshot.load`."""
    if str(model).startswith(REGISTERED):
        with tempfile.TemporaryDirectory() as scratch:
            return stored_in(_fetched(str(model), Path(scratch)), device)
    return stored_in(Path(model), device)


def stored_in(folder: Path, device: str = "auto") -> tuple[Method, Inference]:
    """As `stored_model`, from a folder."""
    if not (folder / SETTINGS).is_file() and (folder / INSIDE / SETTINGS).is_file():
        folder = folder / INSIDE
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder; needs a model's folder, such as model/ of a project")
    if not (folder / SETTINGS).is_file():
        raise CheckpointError(f"{folder} holds no {SETTINGS}; needs a model's folder, such as model/ of a project")
    try:
        inference = _inference(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}: {INFERENCE_FILE} or {SETTINGS} cannot be read ({error}); save the model again"
        ) from None
    return inference_method(folder, inference, _device(device)), inference


def store_model(method: Method, inference: Inference, folder: Path) -> None:
    """Write both into `folder`. Raises CheckpointError for a folder that cannot be written."""
    try:
        save_method(method, folder)
        save_inference(inference, folder)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"the model cannot be saved in {folder} ({getattr(error, 'strerror', None) or error}); needs a folder "
            "that can be written, new or there already"
        ) from None


def _device(name: str) -> torch.device:
    try:
        return choose_device(name)
    except ParamsError as error:
        raise ParamsError(str(error).removeprefix("params.yaml: train.")) from None


def _inference(folder: Path) -> Inference:
    """The inference settings stored with the model, or else of its evaluation in a project, or else of its method."""
    if inference_file(folder) is not None:
        return load_inference(folder)
    settings = load_settings(folder)
    name = (settings.method or METRIC)["name"]
    evaluated = folder.resolve().parent / EVALUATED
    # After a training and before its evaluation, the thresholds there are those of the weights before.
    if evaluates(evaluated, folder) and (found := load_inference(evaluated)).method == name:
        return found
    require_plugins(folder, settings)
    if name not in METHODS and plugins.find("methods", name) is None:
        raise ValueError(f"unknown method {name}")
    return inference_of(name, OWN, settings.batch_norm)


def _fetched(address: str, scratch: Path) -> Path:
    """Download a registered model into `scratch` and return its folder."""
    # The registry code is in kshot.lifecycle, which this layer must not import: it is imported by name when needed.
    fetched = importlib.import_module(f"{__name__.partition('.')[0]}.lifecycle.serving.fetched_model")
    found: Path = fetched.fetch(address, scratch)
    return found
