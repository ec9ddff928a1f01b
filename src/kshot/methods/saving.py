"""Saves a trained method in a folder: the embedding's two files, and the method's own weights if it has any."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kshot import plugins
from kshot.errors import CheckpointError
from kshot.methods.method import Method
from kshot.methods.table import build_method
from kshot.nets.embedding import SETTINGS, WEIGHTS, Embedding, load_settings, save_embedding
from kshot.nets.embedding_settings import EmbeddingSettings

OWN_WEIGHTS = "method.safetensors"
# The method of models saved before kshot had methods.
METRIC: dict[str, Any] = {"name": "metric", "n_way": 2, "k_shot": 1, "arguments": {}}


def save_method(method: Method, folder: Path) -> None:
    """Write `method` into `folder`, without the parts that only training needs."""
    save_embedding(method.embedding, folder)
    left_out = ("embedding", *method.training_only)
    own = {key: value for key, value in method.state_dict().items() if key.split(".")[0] not in left_out}
    save_file({key: tensor.cpu().contiguous() for key, tensor in own.items()}, folder / OWN_WEIGHTS)


def load_method(folder: Path, device: str | torch.device = "cpu", *, views: int = 1) -> Method:
    """Load the method saved in `folder`, in evaluation mode; its points are means over `views`.

    Raises CheckpointError if files are missing or do not fit.
    """
    try:
        settings = load_settings(folder)
        require_plugins(folder, settings)
        method = build_method(settings.method or METRIC, Embedding(settings, views=views))
        method.embedding.load_state_dict(load_file(folder / WEIGHTS))
        if (folder / OWN_WEIGHTS).exists() or settings.method is not None:
            found = method.load_state_dict(load_file(folder / OWN_WEIGHTS), strict=False)
            missing = [key for key in found.missing_keys if not key.startswith("embedding.")]
            if missing or found.unexpected_keys:
                raise KeyError(f"{OWN_WEIGHTS} does not fit: {', '.join([*missing, *found.unexpected_keys])}")
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} holds no model that can be loaded: {' '.join(str(error).split())[:300]}; "
            f"needs {WEIGHTS}, {SETTINGS} and {OWN_WEIGHTS} of one training"
        ) from error
    return method.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def weights_hash(folder: Path) -> str:
    """sha256 (64 hex) of the weights of the method saved in `folder`."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, OWN_WEIGHTS):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def require_plugins(folder: Path, settings: EmbeddingSettings) -> None:
    """Raise CheckpointError if a plug-in that defines the method or the backbone is missing here."""
    names = {"backbones": settings.backbone, "methods": str((settings.method or METRIC)["name"])}
    for kind, given_by in settings.plugins.items():
        if plugins.find(kind, names[kind]) is None:
            needed = plugins.missing(kind, names[kind], given_by)
            raise CheckpointError(f"{folder} holds a model that cannot predict here: {needed}")
