"""The subsections of section train of params.yaml, each with the checks that need no other section."""

import dataclasses
from typing import Literal

from kshot.params.methods import Value
from kshot.params.reader import need, resolved


@dataclasses.dataclass(frozen=True)
class Network:
    """The backbone, its initial weights, and its trainable part."""

    backbone: str
    pretrained: bool
    checkpoint: str | None
    checkpoint_md5: str | None
    pickle: str | None
    features: tuple[str, ...]
    input_size: int | None
    adaptation: Literal["full", "lora", "projection", "frozen"]

    def __post_init__(self) -> None:
        size = self.input_size
        need(size is None or size >= 1, f"train.network.input_size is {size}; needs at least 1, or null")
        need(
            self.adaptation == "full" or self.is_trained,
            f"train.network.adaptation is {self.adaptation}, of a backbone that nothing has trained: "
            "set train.network.pretrained or train.network.checkpoint, or full",
        )

    @property
    def is_trained(self) -> bool:
        """Whether the backbone starts from pretrained weights."""
        return self.pretrained or self.checkpoint is not None

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone is not trained, so that its features are computed once."""
        return self.adaptation in ("projection", "frozen")


@dataclasses.dataclass(frozen=True)
class Lora:
    """Low-rank changes of a backbone's weights: their `rank`, and their scale `alpha` / rank."""

    rank: int
    alpha: int

    def __post_init__(self) -> None:
        need(self.rank >= 1, f"train.lora.rank is {self.rank}; needs at least 1")
        need(self.alpha >= 1, f"train.lora.alpha is {self.alpha}; needs at least 1")


@dataclasses.dataclass(frozen=True)
class Reduce:
    """Principal components of the training classes' embeddings, `dim` of them (null: all), whitened or not."""

    dim: int | None
    whiten: bool

    def __post_init__(self) -> None:
        dim = self.dim
        need(dim is None or dim >= 1, f"train.projection.reduce.dim is {dim}; needs at least 1, or null for none")

    @property
    def wanted(self) -> bool:
        """Whether principal components are to be fitted."""
        return self.whiten or self.dim is not None


@dataclasses.dataclass(frozen=True)
class Projection:
    """The steps from features to embedding: a layer of width `dim`, principal components, unit length."""

    dim: int | None
    hidden: int | None
    l2_normalize: bool
    reduce: Reduce

    def __post_init__(self) -> None:
        for key in ("dim", "hidden"):
            value = getattr(self, key)
            need(value is None or value >= 1, f"train.projection.{key} is {value}; needs at least 1, or null")
        need(
            self.hidden is None or self.dim is not None,
            f"train.projection.hidden is {self.hidden} without a projection: set train.projection.dim too",
        )
        wide, reduced = self.dim, self.reduce.dim
        need(
            wide is None or reduced is None or reduced <= wide,
            f"train.projection.reduce.dim is {reduced} of train.projection.dim {wide}; needs as many at most",
        )


@dataclasses.dataclass(frozen=True)
class MethodChoice:
    """A method of `kshot.params.methods` with its arguments; n_way and k_shot of its training episodes."""

    name: str
    arguments: dict[str, Value]
    n_way: int | None
    k_shot: int


@dataclasses.dataclass(frozen=True)
class LossChoice:
    """A loss of `kshot.params.losses` with its settings, for the method metric."""

    name: str
    mining: str | None
    margin: float | None
    temperature: float | None
    distance: str | None
    arguments: dict[str, float]
    proxy_learning_rate: float

    def __post_init__(self) -> None:
        rate = self.proxy_learning_rate
        need(rate > 0, f"train.loss.proxy_learning_rate is {rate}; needs to be above 0")


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch of `classes` x `images`, and the choice of classes that are drawn together.

    The stages replace `auto` (kshot.lifecycle.settings_fit.resolved) before they read `class_count` and `size`.
    """

    classes: int | Literal["auto"]
    images: int
    classes_of_group: int | None
    mine_every: int
    mine_neighbours: int

    def __post_init__(self) -> None:
        for key, value in (("classes", self.classes), ("images", self.images)):
            need(
                isinstance(value, str) or value >= 2,
                f"train.batch.{key} is {value}; needs at least 2, or a batch has no pair to compare",
            )
        need(self.mine_every >= 0, f"train.batch.mine_every is {self.mine_every}; needs 0 or more")
        need(
            self.mine_neighbours >= 1 and (isinstance(self.classes, str) or self.mine_neighbours < self.classes),
            f"train.batch.mine_neighbours is {self.mine_neighbours} of train.batch.classes {self.classes}; "
            "needs at least 1 and fewer than the batch has classes",
        )
        of_group = self.classes_of_group
        need(
            of_group is None or of_group >= 2,
            f"train.batch.classes_of_group is {of_group}; needs 2 or more, or null for classes at random",
        )
        need(
            of_group is None or not self.mine_every,
            f"train.batch.classes_of_group is {of_group} and train.batch.mine_every {self.mine_every}; only one can "
            "say which classes are drawn together: set classes_of_group: null, or mine_every: 0",
        )

    @property
    def class_count(self) -> int:
        """The number of classes. Raises ParamsError for `auto`."""
        return resolved("train.batch.classes", self.classes)

    @property
    def size(self) -> int:
        """The number of images. Raises ParamsError for `auto`."""
        return self.class_count * self.images


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """AdamW: its learning rate over the steps and the layers, its weight decay, and how gradients are computed."""

    learning_rate: float
    warmup_steps: int
    weight_decay: float
    layer_decay: float
    gradient_checkpointing: bool

    def __post_init__(self) -> None:
        rate, decay = self.learning_rate, self.layer_decay
        need(rate > 0, f"train.optimizer.learning_rate is {rate}; needs to be above 0")
        for key in ("warmup_steps", "weight_decay"):
            value = getattr(self, key)
            need(value >= 0, f"train.optimizer.{key} is {value}; needs 0 or more")
        need(0 < decay <= 1, f"train.optimizer.layer_decay is {decay}; needs to lie above 0, 1 at most")


@dataclasses.dataclass(frozen=True)
class ValidationSchedule:
    """The validation interval in steps, its protocol, and how many validations without a gain stop the training."""

    every: int
    protocol: str
    patience: int

    def __post_init__(self) -> None:
        need(self.every >= 1, f"train.validation.every is {self.every}; needs at least 1")
        need(self.patience >= 0, f"train.validation.patience is {self.patience}; needs 0 or more")
