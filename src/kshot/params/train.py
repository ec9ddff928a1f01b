"""Section train of params.yaml: the network, how much of it learns, the method, its batches and its steps."""

import dataclasses
from typing import Literal

from kshot.params.augment import Augment, TaskAugment
from kshot.params.losses import check_choice
from kshot.params.methods import METHODS, Value, check_method
from kshot.params.peer_losses import PEERS
from kshot.params.reader import need

# Methods whose answers are the geometry of the embedding and nothing learned beside it.
REDUCIBLE = ("metric", "prototypical", "matching", "transfer")


@dataclasses.dataclass(frozen=True)
class Lora:
    """Low-rank changes of a backbone's weights: of `rank`, scaled by `alpha` / rank."""

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
        need(self.dim is None or self.dim >= 1, f"train.reduce.dim is {self.dim}; needs at least 1, or null for none")

    @property
    def wanted(self) -> bool:
        """Whether there is anything to fit."""
        return self.whiten or self.dim is not None


@dataclasses.dataclass(frozen=True)
class Train:
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    splits: tuple[str, ...]
    backbone: str
    pretrained: bool
    checkpoint: str | None
    checkpoint_md5: str | None
    pickle: str | None
    features: tuple[str, ...]
    input_size: int | None
    adaptation: Literal["full", "lora", "head", "frozen"]
    lora: Lora
    layer_decay: float
    gradient_checkpointing: bool
    head_dim: int | None
    head_hidden: int | None
    l2_normalize: bool
    reduce: Reduce
    method: str
    method_arguments: dict[str, Value]
    n_way: int | None
    k_shot: int
    loss: str
    mining: str | None
    margin: float | None
    temperature: float | None
    distance: str | None
    loss_arguments: dict[str, float]
    proxy_learning_rate: float
    classes_per_batch: int
    images_per_class: int
    classes_of_group: int | None
    mine_every: int
    mine_neighbours: int
    steps: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    precision: Literal["bf16", "float32"]
    augment: Augment
    task_augment: TaskAugment
    validate_every: int
    validation_protocol: str
    patience: int

    def __post_init__(self) -> None:
        self._check_loss()
        self._check_method()
        self._check_network()
        for key in ("classes_per_batch", "images_per_class"):
            value = getattr(self, key)
            need(value >= 2, f"train.{key} is {value}; needs at least 2, or a batch has no pair to compare")
        for key in ("steps", "validate_every"):
            value = getattr(self, key)
            need(value >= 1, f"train.{key} is {value}; needs at least 1")
        for key in ("mine_every", "warmup_steps", "weight_decay", "patience"):
            value = getattr(self, key)
            need(value >= 0, f"train.{key} is {value}; needs 0 or more")
        need(self.learning_rate > 0, f"train.learning_rate is {self.learning_rate}; needs to be above 0")
        need(
            1 <= self.mine_neighbours < self.classes_per_batch,
            f"train.mine_neighbours is {self.mine_neighbours} of train.classes_per_batch {self.classes_per_batch}; "
            "needs at least 1 and fewer than the batch has classes",
        )
        of_group = self.classes_of_group
        need(
            of_group is None or of_group >= 2,
            f"train.classes_of_group is {of_group}; needs 2 or more, or null for classes at random",
        )
        need(
            of_group is None or not self.mine_every,
            f"train.classes_of_group is {of_group} and train.mine_every {self.mine_every}; only one can say which "
            "classes are drawn together: set classes_of_group: null, or mine_every: 0",
        )
        need(
            self.splits in (("train",), ("train", "val")),
            f"train.splits is {list(self.splits)}; needs [train], or [train, val] for a final model",
        )
        need(
            "val" not in self.splits or self.patience == 0,
            f"train.patience is {self.patience} while train.splits holds val; needs patience: 0, because "
            "classes that are trained on cannot say when to stop",
        )

    @property
    def held(self) -> bool:
        """Whether the backbone stays as it is, so that its features are taken once."""
        return self.adaptation in ("head", "frozen")

    def _check_network(self) -> None:
        for key in ("head_dim", "head_hidden", "input_size"):
            value = getattr(self, key)
            need(value is None or value >= 1, f"train.{key} is {value}; needs at least 1, or null")
        need(
            self.head_hidden is None or self.head_dim is not None,
            f"train.head_hidden is {self.head_hidden} without a head: set train.head_dim too",
        )
        need(0 < self.layer_decay <= 1, f"train.layer_decay is {self.layer_decay}; needs to lie above 0, 1 at most")
        self._check_adaptation()
        if self.reduce.wanted:
            need(
                self.method in REDUCIBLE and not self.method_arguments.get("full_context"),
                f"train.reduce is set; {self.method} learns to compare the embedding as it is: "
                f"set dim: null and whiten: false, or take one of {', '.join(REDUCIBLE)}",
            )
            wide = self.head_dim
            need(
                wide is None or self.reduce.dim is None or self.reduce.dim <= wide,
                f"train.reduce.dim is {self.reduce.dim} of train.head_dim {wide}; needs as many at most",
            )

    def _check_adaptation(self) -> None:
        how = f"train.adaptation is {self.adaptation}"
        if self.adaptation == "full":
            return
        need(
            self.pretrained or self.checkpoint is not None,
            f"{how}, of a backbone that nothing has trained: set train.pretrained or train.checkpoint, or full",
        )
        need(
            METHODS[self.method].space,
            f"{how}; {self.method} changes the whole network for each episode: set full",
        )
        need(
            self.layer_decay == 1,
            f"{how} and train.layer_decay {self.layer_decay}; the rate falls from layer to layer only in full: set 1",
        )
        need(self.adaptation != "head" or self.head_dim is not None, f"{how}; needs train.head_dim, what it trains")
        need(
            self.adaptation != "frozen" or self.head_dim is None,
            f"{how} with train.head_dim {self.head_dim}; a head has to be trained: set adaptation: head",
        )

    def _check_method(self) -> None:
        check_method(
            self.method,
            self.method_arguments,
            n_way=self.n_way,
            k_shot=self.k_shot,
            classes=self.classes_per_batch,
            images=self.images_per_class,
        )
        need(
            METHODS[self.method].space or not self.mine_every,
            f"train.mine_every is {self.mine_every}; {self.method} adapts the network to each episode and has no space "
            "in which classes are near each other: set 0",
        )
        if self.method == "relation":
            need(
                self.head_dim is None and not self.l2_normalize,
                "train.method is relation, which compares feature maps: "
                "set train.head_dim: null and train.l2_normalize: false",
            )

    def _check_loss(self) -> None:
        check_choice(
            self.loss,
            mining=self.mining,
            distance=self.distance,
            margin=self.margin,
            temperature=self.temperature,
            arguments=self.loss_arguments,
            l2_normalize=self.l2_normalize,
        )
        if self.method == "metric" and self.loss == "prototypical":
            need(
                1 <= self.k_shot < self.images_per_class,
                f"train.k_shot is {self.k_shot} of train.images_per_class {self.images_per_class}; "
                "needs at least 1 and must leave a query: raise images_per_class",
            )
        if self.loss == "cross_batch_memory":
            memory = self.loss_arguments.get("memory_size", PEERS[self.loss].arguments["memory_size"])
            batch = self.classes_per_batch * self.images_per_class
            need(
                memory >= batch,
                f"train.loss_arguments.memory_size is {memory:g}; needs to hold a batch of {batch} images at least",
            )
        rate = self.proxy_learning_rate
        need(rate > 0, f"train.proxy_learning_rate is {rate}; needs to be above 0")
