"""Section train of params.yaml: the training settings, and the checks across its sections."""

import dataclasses
from typing import Literal

from kshot.params.backbones import backbone_plugin
from kshot.params.losses import check_choice
from kshot.params.methods import check_method, options_of
from kshot.params.pml_losses import PML_LOSSES
from kshot.params.reader import need
from kshot.params.sections.augment import Augment, TaskAugment
from kshot.params.sections.train_sections import (
    Batch,
    Lora,
    LossChoice,
    MethodChoice,
    Network,
    Optimizer,
    Projection,
    ValidationSchedule,
)

FEWEST_IMAGES = 2  # of a class in a batch: with fewer there is no pair to compare
# Methods that predict from the geometry of the embedding alone, without other learned parts.
# Classes of a batch for `train.batch.classes: auto`, at most: with pretrained weights, and from scratch.
MOST_CLASSES_PRETRAINED, MOST_CLASSES = 16, 60
REDUCIBLE = ("metric", "prototypical", "matching", "transfer")


@dataclasses.dataclass(frozen=True)
class Train:
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    splits: tuple[str, ...]
    steps: int
    precision: Literal["bf16", "float32"]
    network: Network
    lora: Lora
    projection: Projection
    method: MethodChoice
    loss: LossChoice
    batch: Batch
    optimizer: Optimizer
    augment: Augment
    task_augment: TaskAugment
    validation: ValidationSchedule
    processes: int | Literal["auto"] = "auto"  # settings recorded by older versions lack it

    def __post_init__(self) -> None:
        backbone_plugin(self.network.backbone)
        self._check_loss()
        self._check_method()
        self._check_projection()
        self._check_adaptation()
        self._check_processes()
        if isinstance(self.batch.classes, int):
            self._check_batch(self.batch.size)
        need(self.steps >= 1, f"train.steps is {self.steps}; needs at least 1")
        need(
            self.splits in (("train",), ("train", "val")),
            f"train.splits is {list(self.splits)}; needs [train], or [train, val] for a final model",
        )
        patience = self.validation.patience
        need(
            "val" not in self.splits or patience == 0,
            f"train.validation.patience is {patience} while train.splits holds val; needs patience: 0, because "
            "classes that are trained on cannot say when to stop",
        )

    @property
    def can_be_shared(self) -> bool:
        """Whether several processes can train the method: each embeds some rows of a batch."""
        return options_of(self.method.name).fixed_embedding

    def for_classes(self, count: int) -> "Train":
        """These settings without `auto`, for so many training classes. Raises ParamsError if the others do not fit."""
        if isinstance(self.batch.classes, int):
            return self
        need(count >= 2, f"train.batch.classes is auto, and {count} of the training classes has two images; needs 2")
        classes = min(count, MOST_CLASSES_PRETRAINED if self.network.is_trained else MOST_CLASSES)
        batch = dataclasses.replace(
            self.batch, classes=classes, mine_neighbours=min(self.batch.mine_neighbours, classes - 1)
        )
        return dataclasses.replace(self, batch=batch)

    def _check_processes(self) -> None:
        count = self.processes
        if count == "auto" or count == 1:
            return
        need(count >= 1, f"train.processes is {count}; needs at least 1, or auto")
        need(
            self.can_be_shared,
            f"train.processes is {count}; {self.method.name} changes the network for each episode, so that a batch has "
            "no embeddings that several processes could compute: set 1",
        )

    def _check_projection(self) -> None:
        if self.projection.reduce.wanted:
            need(
                self.method.name in REDUCIBLE and not self.method.arguments.get("full_context"),
                f"train.projection.reduce is set; {self.method.name} learns to compare the embedding as it is: "
                f"set dim: null and whiten: false, or take one of {', '.join(REDUCIBLE)}",
            )

    def _check_adaptation(self) -> None:
        adaptation, dim = self.network.adaptation, self.projection.dim
        how = f"train.network.adaptation is {adaptation}"
        if adaptation == "full":
            return
        need(
            options_of(self.method.name).fixed_embedding,
            f"{how}; {self.method.name} changes the whole network for each episode: set full",
        )
        need(
            self.optimizer.layer_decay == 1,
            f"{how} and train.optimizer.layer_decay {self.optimizer.layer_decay}; the rate falls from layer to layer "
            "only in full: set 1",
        )
        need(adaptation != "projection" or dim is not None, f"{how}; needs train.projection.dim, what it trains")
        need(
            adaptation != "frozen" or dim is None,
            f"{how} with train.projection.dim {dim}; a projection has to be trained: set adaptation: projection",
        )

    def _check_method(self) -> None:
        chosen = self.method
        check_method(
            chosen.name,
            chosen.arguments,
            n_way=chosen.n_way,
            k_shot=chosen.k_shot,
            classes=None if isinstance(self.batch.classes, str) else self.batch.classes,
            images=self.batch.images,
        )
        need(
            options_of(chosen.name).fixed_embedding or not self.batch.mine_every,
            f"train.batch.mine_every is {self.batch.mine_every}; {chosen.name} adapts the network to each episode and "
            "has no space in which classes are near each other: set 0",
        )
        if chosen.name == "relation":
            need(
                self.projection.dim is None and not self.projection.l2_normalize,
                "train.method.name is relation, which compares feature maps: "
                "set train.projection.dim: null and train.projection.l2_normalize: false",
            )

    def _check_loss(self) -> None:
        chosen = self.loss
        check_choice(
            chosen.name,
            mining=chosen.mining,
            distance=chosen.distance,
            margin=chosen.margin,
            temperature=chosen.temperature,
            arguments=chosen.arguments,
            l2_normalize=self.projection.l2_normalize,
        )
        if self.method.name == "metric" and chosen.name == "prototypical":
            need(
                1 <= self.method.k_shot < self.batch.images,
                f"train.method.k_shot is {self.method.k_shot} of train.batch.images {self.batch.images}; "
                "needs at least 1 and must leave a query: raise train.batch.images",
            )

    def _check_batch(self, rows: int) -> None:
        """The settings that depend on the number of images in a batch."""
        count, chosen = self.processes, self.loss
        need(
            count == "auto" or count <= rows,
            f"train.processes is {count} and a batch has {rows} images (train.batch.classes x train.batch.images); "
            "needs an image for each process: lower it, or raise the batch",
        )
        if chosen.name == "cross_batch_memory":
            memory = chosen.arguments.get("memory_size", PML_LOSSES[chosen.name].arguments["memory_size"])
            need(
                memory >= rows,
                f"train.loss.arguments.memory_size is {memory:g}; needs to hold a batch of {rows} images at least",
            )
