"""The embedding that the settings describe, before training."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from kshot.errors import CheckpointError
from kshot.nets.backbones import Start, input_of
from kshot.nets.embedding import Embedding
from kshot.params.schema import Params


def new_embedding(params: Params, root: Path) -> Embedding:
    """The embedding that `params` describes, with the weights that it starts from.

    root: the folder that `train.checkpoint` is relative to. Raises ParamsError for weights that cannot be had, and
    CheckpointError for weights that do not fit.
    """
    train = params.train
    checkpoint = root / train.checkpoint if train.checkpoint else None
    if checkpoint is not None and checkpoint.is_file():
        _check_content(checkpoint, train.checkpoint_md5)
    start = Start(train.pretrained, checkpoint, pickle=checkpoint is not None and train.pickle == train.checkpoint)
    embedding = Embedding(settings(params), start)
    if train.pretrained or checkpoint is not None:
        embedding.settings["base"] = {
            "source": "timm's hub" if checkpoint is None else checkpoint.name,
            "weights": weights_hash(embedding.backbone),
        }
    return embedding


def settings(params: Params) -> dict[str, Any]:
    """What an embedding says of its network."""
    train = params.train
    asked = input_of(
        train.backbone,
        packed=params.ingest.size,
        wanted=train.input_size,
        trained=train.pretrained or train.checkpoint is not None,
    )
    return {
        "backbone": train.backbone,
        "features": list(train.features),
        "input": asdict(asked),
        "adaptation": train.adaptation,
        "head_dim": train.head_dim,
        "head_hidden": train.head_hidden,
        "l2_normalize": train.l2_normalize,
        "ingest": asdict(params.ingest),
    }


def _check_content(path: Path, wanted: str | None) -> None:
    """Raise CheckpointError for a file that is not the one that params.yaml was written for."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if wanted not in (None, found):
        raise CheckpointError(
            f"{path.name} holds other weights (md5 {found[:8]}) than params.yaml says (train.checkpoint_md5 "
            f"{wanted}); bring that file back, or take the new one by `kshot retrain`, which writes its md5 there"
        )


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of the names and bytes of everything that `network` holds."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
