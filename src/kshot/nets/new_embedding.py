"""Creates the untrained embedding that the settings describe."""

import functools
import hashlib
from pathlib import Path

from torch import nn

from kshot.errors import CheckpointError
from kshot.nets.backbones.backbone import Start, create_backbone, input_of
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import Base, EmbeddingSettings
from kshot.params.backbones import backbone_plugin
from kshot.params.schema import Params


def new_embedding(params: Params, root: Path) -> Embedding:
    """Create the embedding that `params` describes, with its initial weights.

    root: the folder that `train.network.checkpoint` is relative to. Raises ParamsError for weights that are not
    available, and CheckpointError for weights that do not fit.
    """
    network = params.train.network
    checkpoint = root / network.checkpoint if network.checkpoint else None
    if checkpoint is not None and checkpoint.is_file():
        _check_content(checkpoint, network.checkpoint_md5)
    trusted = checkpoint is not None and network.pickle == network.checkpoint
    embedding = Embedding(settings(params), Start(network.pretrained, checkpoint, pickle=trusted))
    if network.is_trained:
        source = "timm's hub" if checkpoint is None else checkpoint.name
        embedding.describe(base=Base(source, weights_hash(embedding.backbone)))
    return embedding


def require_backbone(params: Params) -> None:
    """Raise ParamsError for a backbone that is unknown, lacks a named stage, or cannot take images of this size."""
    network, ingest = params.train.network, params.ingest
    given = input_of(network.backbone, packed=ingest.size, wanted=network.input_size, trained=network.is_trained)
    _create_once(network.backbone, ingest.channels, given.size, network.features)


@functools.cache  # the trials of a sweep name the same one many times
def _create_once(name: str, channels: int, size: int, features: tuple[str, ...]) -> None:
    create_backbone(name, channels=channels, size=size, features=features)


def settings(params: Params) -> EmbeddingSettings:
    """The settings of a new embedding that follow from `params`."""
    network, projection = params.train.network, params.train.projection
    network_input = input_of(
        network.backbone, packed=params.ingest.size, wanted=network.input_size, trained=network.is_trained
    )
    plugin = backbone_plugin(network.backbone)
    return EmbeddingSettings(
        backbone=network.backbone,
        ingest=params.ingest,
        features=network.features,
        input=network_input,
        adaptation=network.adaptation,
        head_dim=projection.dim,
        head_hidden=projection.hidden,
        l2_normalize=projection.l2_normalize,
        plugins={"backbones": plugin[0].given_by} if plugin else {},
    )


def _check_content(path: Path, wanted: str | None) -> None:
    """Raise CheckpointError if the content of the file is not the one that params.yaml names."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if wanted not in (None, found):
        raise CheckpointError(
            f"{path.name} holds other weights (md5 {found[:8]}) than params.yaml says "
            f"(train.network.checkpoint_md5 {wanted}); bring that file back, or take the new one by "
            "`kshot retrain`, which writes its md5 there"
        )


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of the names and bytes of all parameters and buffers of `network`."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
