"""Small trainings that several processes run, each compared with the same training in one process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kshot.data.episodes import EpisodeSet
from kshot.methods.method import Method
from kshot.methods.table import build_method, describe
from kshot.nets import embedding as embedding_module
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.parallel.share import ALONE, World
from kshot.params.losses import LISTED_TRIPLETS, PAIRS, TRIPLETS
from kshot.params.pml_losses import PML_LOSSES
from kshot.params.schema import load_params
from kshot.params.sections.augment import Augment, TaskAugment
from kshot.params.sections.ingest import Ingest
from kshot.params.sections.train import Train
from kshot.training.loop import meta_train
from kshot.training.random_state import seed_everything
from kshot.training.records import Step, Validation
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[2] / "params.yaml").train
CLASSES, IMAGES, SIZE, DIM = 12, 8, 16, 8
BATCH = {"classes_per_batch": 5, "images_per_class": 5}  # 25 rows: neither 2 nor 3 processes share them evenly
UNIT = {"l2_normalize": True}
LOSSES: dict[str, dict[str, Any]] = {
    "prototypical": {"loss": "prototypical"},
    **{f"contrastive, {name}": {"loss": "contrastive", "margin": 1.0, "mining": name, **UNIT} for name in PAIRS},
    **{
        f"triplet, {name}": {"loss": "triplet", "margin": 0.5, "mining": name, "distance": "euclidean", **UNIT}
        for name in TRIPLETS
    },
    **{
        f"soft_margin_triplet, {name}": {
            "loss": "soft_margin_triplet",
            "mining": name,
            "distance": "euclidean",
            **UNIT,
        }
        for name in LISTED_TRIPLETS
    },
    "n_pair": {"loss": "n_pair"},
    "lifted_structure": {"loss": "lifted_structure", "margin": 1.0},
    "generalized_lifted_structure": {"loss": "generalized_lifted_structure", "margin": 1.0},
    "nt_xent": {"loss": "nt_xent", "temperature": 0.1},
    "supervised_contrastive": {"loss": "supervised_contrastive", "temperature": 0.1},
    "smooth_ap": {"loss": "smooth_ap", "temperature": 0.05},
}
PEER_LOSSES: dict[str, dict[str, Any]] = {name: {"loss": name} for name in PML_LOSSES}
METHODS: dict[str, dict[str, Any]] = {
    "prototypical": {"method": "prototypical", "method_arguments": {"learn_temperature": True}},
    "matching": {"method": "matching", "method_arguments": {"full_context": True}},
    "siamese": {"method": "siamese"},
    "relation": {"method": "relation"},
    "mann": {"method": "mann", "method_arguments": {"standardize": True}},
    "transfer": {"method": "transfer", "method_arguments": {"classifier": "cosine"}},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "mined batches": {"loss": "nt_xent", "temperature": 0.1, "mine_every": 4, "mine_neighbours": 2},
    "task augmentation": {"loss": "nt_xent", "temperature": 0.1, "task_augment": TaskAugment(0.5, 30.0, 0.1, 5.0)},
    "photographs": {"loss": "nt_xent", "temperature": 0.1, "augment": Augment(preset="photographs")},
    "dropout and stochastic depth": {"loss": "nt_xent", "temperature": 0.1},
}
CASES: dict[str, dict[str, Any]] = {
    **{f"loss {name}": case for name, case in LOSSES.items()},
    **{f"peer {name}": case for name, case in PEER_LOSSES.items()},
    **{f"method {name}": case for name, case in METHODS.items()},
    **{f"setting {name}": case for name, case in SETTINGS.items()},
}
STEPS = 20
DTYPES = {"float64": torch.float64, "float32": torch.float32}
State = dict[str, Tensor]
MOVES = ("embedding.backbone.0.weight", "embedding.head.0.weight")
# Biases in front of a batch norm, which removes them: their gradient is rounding, which AdamW turns into whole steps.
# In float64 these are small too.
WITHOUT_EFFECT = {f"compare.{layer}.{name}" for layer in (0, 2) for name in ("0.bias", "1.running_mean")}
MASKS = "setting dropout and stochastic depth"


def toy_images() -> NDArray[np.uint8]:
    """Each class a pattern of its own under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (CLASSES, 4, 4)).repeat(4, 1).repeat(4, 2) * 120
    pixels = patterns[:, None] + rng.integers(0, 130, (CLASSES, IMAGES, SIZE, SIZE))
    return pixels.reshape(-1, SIZE, SIZE, 1).astype(np.uint8)


def episodes() -> EpisodeSet:
    """One episode: of as many classes as a batch has, because mann knows no more."""
    ways = BATCH["classes_per_batch"]
    ids = np.arange(ways * IMAGES).reshape(1, ways, IMAGES)
    return EpisodeSet(ids[:, :, :1], ids[:, :, 1:], np.arange(ways)[None])


def settings(name: str) -> Train:
    small = {"steps": STEPS, "validate_every": 10, "patience": 0, "precision": "float32", **BATCH}
    return train_with(TRAIN, **{**small, **CASES[name]})


def random_masks() -> list[nn.Module]:
    """Stochastic depth and dropout."""
    from timm.layers import DropPath  # here, because timm takes 2 s of each process that collects the tests

    return [DropPath(0.3), nn.Dropout2d(0.2)]


def new_method(name: str, train: Train, dtype: torch.dtype) -> Method:
    """A method over a tiny network with batch norm in two shapes; with random masks where the case is about them."""
    seed_everything(train.seed)
    embedding = Embedding(
        EmbeddingSettings(
            backbone="conv4",
            ingest=Ingest(size=SIZE, channels=1, invert=True, crop="none"),
            head_dim=DIM,
            l2_normalize=train.projection.l2_normalize,
        )
    )
    masks = random_masks() if name == MASKS else []
    embedding.backbone = nn.Sequential(
        # No bias: batch norm removes it, so that its gradient is rounding, which AdamW turns into whole steps.
        nn.Conv2d(1, 4, 5, stride=3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        *masks,
        nn.Flatten(),
    )
    last = [nn.Dropout(0.3)] if name == MASKS else []
    embedding.head = nn.Sequential(
        nn.Linear(64, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), *last, nn.Linear(16, DIM, bias=False)
    )
    return build_method(describe(train.method, train.batch.class_count), embedding).to(dtype)


def trained(name: str, dtype: torch.dtype, world: World, checkpoint: Path | None = None) -> tuple[State, list[float]]:
    """The state after training, and the records that carry results."""
    train = settings(name)
    method = new_method(name, train, dtype)
    members = [np.arange(c * IMAGES, (c + 1) * IMAGES) for c in range(CLASSES)]
    names = [f"class {c}" for c in range(CLASSES)]
    records = list(
        meta_train(
            method, toy_images(), members, names, train, validation=episodes(), checkpoint=checkpoint, world=world
        )
    )
    results = [one.loss for one in records if isinstance(one, Step)]
    results += [one.val_accuracy for one in records if isinstance(one, Validation)]
    return method.state_dict(), results


def difference(one: State, other: State) -> float:
    """The largest difference of two states, or infinity if they are not of the same kind."""
    if one.keys() != other.keys():
        return float("inf")
    numbers = [key for key, value in one.items() if value.is_floating_point() and value.numel()]
    whole = all(torch.equal(one[key], other[key]) for key in one.keys() - set(numbers))
    return max(float((one[key] - other[key]).abs().max()) for key in numbers) if whole else float("inf")


def compare(world: World, names: list[str], dtypes: list[str], out: str) -> None:
    """Run trainings in this world, and in the first process alone, too; write the differences."""
    embedding_module.AT_ONCE = 16  # so that each process embeds some of the few images of the toy
    found: dict[str, dict[str, float]] = {}
    for name in names:
        for dtype in (DTYPES[word] for word in dtypes):
            shared, results = trained(name, dtype, world)
            if world.is_first:
                alone, wanted = trained(name, dtype, ALONE)
                start = new_method(name, settings(name), dtype).state_dict()
                apart = max(abs(a - b) / max(1, abs(b)) for a, b in zip(results, wanted, strict=True))
                moved = max(float((alone[key] - start[key]).abs().max()) for key in start if key in MOVES)
                for key in WITHOUT_EFFECT & shared.keys() if dtype == torch.float32 else ():
                    shared[key] = alone[key]
                found[f"{name}, {str(dtype).removeprefix('torch.')}"] = {
                    "weights": difference(shared, alone),
                    "results": apart,
                    "moved": moved,
                }
    if world.is_first:
        Path(out).write_text(json.dumps(found), encoding="utf-8")
