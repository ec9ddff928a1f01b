"""params.yaml as frozen dataclasses, one a section.

The file holds the defaults, so the classes have none: a key too many and a key too few are both errors.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from kshot.heads import INDUCTIVE, OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.loss_table import check_choice
from kshot.losses_of_peers import PEERS
from kshot.method_table import METHODS, Value, check_method
from kshot.sections import build, need, read_mapping


@dataclasses.dataclass(frozen=True)
class Ingest:
    size: int
    channels: int
    invert: bool

    def __post_init__(self) -> None:
        need(8 <= self.size <= 1024, f"ingest.size is {self.size}; needs 8 to 1024 pixels")
        need(self.channels in (1, 3), f"ingest.channels is {self.channels}; needs 1 (grey) or 3 (RGB)")


@dataclasses.dataclass(frozen=True)
class Split:
    by: Literal["auto", "table", "group", "class"]
    val: float
    test: float
    seed: int
    rotations: bool

    def __post_init__(self) -> None:
        need(
            0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1,
            f"split.val is {self.val} and split.test {self.test}; each needs to lie between 0 and 1 "
            "and their sum below 1, so that classes are left to train on",
        )


@dataclasses.dataclass(frozen=True)
class Validate:
    max_unreadable_share: float
    min_side: int
    max_aspect_ratio: float

    def __post_init__(self) -> None:
        need(
            0 <= self.max_unreadable_share < 1,
            f"validate.max_unreadable_share is {self.max_unreadable_share}; needs to lie in [0, 1)",
        )
        need(self.min_side >= 1, f"validate.min_side is {self.min_side}; needs at least 1 pixel")
        need(self.max_aspect_ratio >= 1, f"validate.max_aspect_ratio is {self.max_aspect_ratio}; needs at least 1")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What one kind of episode asks: n_way classes, k_shot support images each."""

    n_way: int
    k_shot: int
    within_group: bool

    def __post_init__(self) -> None:
        need(self.n_way >= 2, f"a protocol's n_way is {self.n_way}; needs at least 2 classes to tell apart")
        need(self.k_shot >= 1, f"a protocol's k_shot is {self.k_shot}; needs at least 1 support image a class")


@dataclasses.dataclass(frozen=True)
class Episodes:
    seed: int
    n_episodes: int
    n_query: int
    protocols: dict[str, Protocol]

    def __post_init__(self) -> None:
        need(self.n_episodes >= 2, f"episodes.n_episodes is {self.n_episodes}; an interval needs at least 2")
        need(self.n_query >= 1, f"episodes.n_query is {self.n_query}; needs at least 1 query a class")
        need(bool(self.protocols), "episodes.protocols is empty; needs at least one, such as 5w1s")
        for name in self.protocols:
            need(
                name.replace("-", "").replace("_", "").isalnum() and name.isascii(),
                f"episodes.protocols has the name {name!r}; it becomes a file name: letters, digits, - and _ only",
            )


@dataclasses.dataclass(frozen=True)
class Augment:
    """Largest random change of a training image; 0 switches one off."""

    degrees: float
    translate: float
    scale: float
    shear: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            need(value >= 0, f"train.augment.{field.name} is {value}; needs 0 or more")
        need(self.scale < 1, f"train.augment.scale is {self.scale}; needs to lie below 1")
        need(self.shear < 90, f"train.augment.shear is {self.shear}; needs to lie below 90 degrees")


@dataclasses.dataclass(frozen=True)
class Train:
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    splits: tuple[str, ...]
    backbone: str
    pretrained: bool
    checkpoint: str | None
    head_dim: int | None
    l2_normalize: bool
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
    mine_every: int
    mine_neighbours: int
    steps: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    precision: Literal["bf16", "float32"]
    augment: Augment
    validate_every: int
    validation_protocol: str
    patience: int

    def __post_init__(self) -> None:
        self._check_loss()
        self._check_method()
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
        need(self.head_dim is None or self.head_dim >= 1, f"train.head_dim is {self.head_dim}; needs at least 1")
        need(
            1 <= self.mine_neighbours < self.classes_per_batch,
            f"train.mine_neighbours is {self.mine_neighbours} of train.classes_per_batch {self.classes_per_batch}; "
            "needs at least 1 and fewer than the batch has classes",
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


@dataclasses.dataclass(frozen=True)
class Evaluate:
    head: str
    accept_known: float
    confused_pairs: int
    projection_classes: int

    def __post_init__(self) -> None:
        known = (OWN, SIMPLE_SHOT, *INDUCTIVE, *TRANSDUCTIVE)
        need(self.head in known, f"evaluate.head is {self.head!r}; needs one of {', '.join(known)}")
        share = self.accept_known
        need(0 < share <= 1, f"evaluate.accept_known is {share}; needs to lie above 0 and be at most 1")
        for key in ("confused_pairs", "projection_classes"):
            value = getattr(self, key)
            need(value >= 0, f"evaluate.{key} is {value}; needs 0 or more")


@dataclasses.dataclass(frozen=True)
class Gate:
    min_accuracy: dict[str, float]
    non_inferiority_margin: float
    max_group_drop: float
    approval: Literal["automatic", "manual"]
    approval_timeout: float

    def __post_init__(self) -> None:
        need(bool(self.min_accuracy), "gate.min_accuracy is empty; needs at least one protocol, such as 5w1s: 0.8")
        for name, value in self.min_accuracy.items():
            need(0 <= value <= 1, f"gate.min_accuracy.{name} is {value}; needs to lie in [0, 1]")
        for key in ("non_inferiority_margin", "max_group_drop"):
            value = getattr(self, key)
            need(0 <= value <= 1, f"gate.{key} is {value}; needs to lie in [0, 1]")
        hours = self.approval_timeout
        need(0 < hours <= 8784, f"gate.approval_timeout is {hours}; needs more than 0 hours and at most a year, 8784")


@dataclasses.dataclass(frozen=True)
class Params:
    """The whole of params.yaml, checked."""

    ingest: Ingest
    split: Split
    validate: Validate
    episodes: Episodes
    train: Train
    evaluate: Evaluate
    gate: Gate

    def __post_init__(self) -> None:
        known = ", ".join(self.episodes.protocols)
        name = self.train.validation_protocol
        need(name in self.episodes.protocols, f"train.validation_protocol is {name!r}; needs one of {known}")
        self._check_answers()
        for name in self.gate.min_accuracy:
            need(name in self.episodes.protocols, f"gate.min_accuracy names {name!r}; needs one of {known}")

    def _check_answers(self) -> None:
        method, head = self.train.method, self.evaluate.head
        need(
            METHODS[method].space or head == OWN,
            f"evaluate.head is {head}; {method} adapts the network to each episode and has no space that a head "
            f"could answer on: set {OWN}",
        )
        if method == "mann":
            n_way = self.train.n_way or self.train.classes_per_batch
            # Training validates by the method's own answers, whatever the head.
            asked = self.episodes.protocols if head == OWN else [self.train.validation_protocol]
            for name in asked:
                protocol = self.episodes.protocols[name]
                need(
                    protocol.n_way <= n_way,
                    f"episodes.protocols.{name} has {protocol.n_way} classes; mann knows {n_way} labels: "
                    "raise train.n_way, or drop the protocol",
                )


def load_params(path: Path) -> Params:
    """Read and check `path`. Raises ParamsError with the key, what it holds and what it needs."""
    return params_from(read_mapping(path))


def params_from(mapping: Mapping[str, Any]) -> Params:
    """Check the parsed content of a params.yaml."""
    return build(Params, mapping)
