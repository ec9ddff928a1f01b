"""The settings saved with an embedding: everything needed to rebuild it, and the classes it was trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kshot.nets.backbones.backbone import Input
from kshot.params.renamed import VALUES
from kshot.params.sections.ingest import Ingest, recorded_ingest

OPTIONAL = ("input", "base", "method", "reduced", "device", "processes", "plugins")  # left out of the file if None


@dataclass(frozen=True)
class Base:
    """The backbone's initial weights: their source, and the SHA-256 of their names and bytes."""

    source: str
    weights: str


@dataclass(frozen=True)
class EmbeddingSettings:
    """Everything needed to rebuild an embedding, and the classes it was trained on.

    backbone      its name in `kshot.nets.backbones.backbone`
    ingest        how images are prepared for it
    features      stages of a timm model whose mean maps are the features, "output" its end; (): its output alone
    input         size and interpolation of the network's input; None: the packed images
    adaptation    the part that was trained: full, lora, projection or frozen
    head_dim      width of the projection layer; None: none
    head_hidden   width of its hidden layer; None: a linear projection
    l2_normalize  whether points have unit length
    reduced       width of the principal components; None: none
    base          the backbone's initial weights; None: random ones
    method        the output of `kshot.methods.table.describe`; None: of models saved before kshot had methods
    loss          of the method metric
    batch_norm    the batch statistics used to predict an episode
    trained_on    the names of the training classes
    device        the kind of device that trained it
    processes     how many processes trained it; None: one
    plugins       the plug-ins that define the backbone and the method, by kind, if any
    """

    backbone: str
    ingest: Ingest
    features: tuple[str, ...] = ()
    input: Input | None = None
    adaptation: str = "full"
    head_dim: int | None = None
    head_hidden: int | None = None
    l2_normalize: bool = False
    reduced: int | None = None
    base: Base | None = None
    method: Mapping[str, Any] | None = None
    loss: str | None = None
    batch_norm: str = "eval"
    trained_on: tuple[str, ...] = ()
    device: str | None = None
    processes: int | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)


def settings_of(found: Mapping[str, Any]) -> EmbeddingSettings:
    """Parse the content of an embedding.json, also of an older kshot. Raises KeyError if keys are missing."""
    known = {one.name for one in fields(EmbeddingSettings)}
    values = {key: value for key, value in found.items() if key in known}
    values |= {"backbone": found["backbone"], "ingest": recorded_ingest(found)}
    for key in ("features", "trained_on"):
        values[key] = tuple(found.get(key, ()))
    if found.get("input"):
        values["input"] = Input(**found["input"])
    if found.get("base"):
        values["base"] = Base(**found["base"])
    adaptation = found.get("adaptation", "full")
    values["adaptation"] = VALUES["train.network.adaptation"].get(adaptation, adaptation)
    return EmbeddingSettings(**values)


def content_of(settings: EmbeddingSettings) -> dict[str, Any]:
    """The content of embedding.json."""
    found = asdict(settings)
    found |= {key: list(found[key]) for key in ("features", "trained_on")}
    return {key: value for key, value in found.items() if value or key not in OPTIONAL}
