import dataclasses
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kshot.data.batches import ClassBalanced
from kshot.data.episodes import EpisodeSet
from kshot.errors import TrainingDiverged
from kshot.losses.objective import OURS
from kshot.methods.table import build_method, describe
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.params.losses import LOSSES, PAIRS, TRIPLETS
from kshot.params.pml_losses import PML_LOSSES
from kshot.params.schema import load_params
from kshot.params.sections.augment import Augment, TaskAugment
from kshot.params.sections.ingest import Ingest
from kshot.training import training_run
from kshot.training.learning_rates import rate_share
from kshot.training.loop import meta_train
from kshot.training.random_state import seed_everything
from kshot.training.records import Done, Step, Validation
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[2] / "params.yaml").train
CLASSES, IMAGES, SIZE = 12, 8, 16


def toy_images():
    """Each class a pattern of its own under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (CLASSES, 4, 4)).repeat(4, 1).repeat(4, 2) * 120
    pixels = patterns[:, None] + rng.integers(0, 130, (CLASSES, IMAGES, SIZE, SIZE))
    return pixels.reshape(-1, SIZE, SIZE, 1).astype(np.uint8)


def params(**changes):
    small = {"steps": 30, "classes_per_batch": 6, "images_per_class": 4, "validate_every": 10, "patience": 0}
    return train_with(TRAIN, **{**small, **changes})


def train(settings, validation=None, checkpoint=None, stop_after=None, head=None):
    seed_everything(settings.seed)
    embedding = Embedding(
        EmbeddingSettings(
            backbone="conv4",
            ingest=Ingest(size=SIZE, channels=1, invert=True, crop="none"),
            head_dim=settings.projection.dim,
            l2_normalize=settings.projection.l2_normalize,
        )
    )
    if head is not None:
        embedding.head = head
    method = build_method(describe(settings.method, settings.batch.classes), embedding)
    members = [np.arange(c * IMAGES, (c + 1) * IMAGES) for c in range(CLASSES)]
    names = [f"class {c}" for c in range(CLASSES)]
    records = []
    run = meta_train(method, toy_images(), members, names, settings, validation=validation, checkpoint=checkpoint)
    for record in run:
        records.append(record)
        if stop_after is not None and getattr(record, "step", 0) >= stop_after:
            run.close()
            break
    return method, records


def first_layer(method):
    return method.state_dict()["embedding.backbone.0.weight"]


def episodes():
    ids = np.arange(CLASSES * IMAGES).reshape(1, CLASSES, IMAGES)
    return EpisodeSet(ids[:, :, :1].repeat(2, 0), ids[:, :, 1:].repeat(2, 0), np.arange(CLASSES)[None].repeat(2, 0))


def losses(records):
    return [record.loss for record in records if isinstance(record, Step)]


UNIT = {"l2_normalize": True}
OBJECTIVES = [
    {"loss": "prototypical"},
    *({"loss": "contrastive", "margin": 1.0, "mining": mining, **UNIT} for mining in PAIRS),
    *({"loss": "triplet", "margin": 0.5, "mining": m, "distance": "euclidean", **UNIT} for m in TRIPLETS),
    {"loss": "triplet", "margin": 0.5, "mining": "semi_hard", "head_dim": 16, **UNIT},
    {"loss": "soft_margin_triplet", "mining": "batch_hard", "distance": "euclidean"},
    {"loss": "n_pair"},
    {"loss": "lifted_structure", "margin": 1.0},
    {"loss": "generalized_lifted_structure", "margin": 1.0},
    {"loss": "nt_xent", "temperature": 0.1},
    {"loss": "supervised_contrastive", "temperature": 0.1},
    {"loss": "smooth_ap", "temperature": 0.05},
    *({"loss": name} for name in PML_LOSSES),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: f"{o['loss']}-{o.get('mining')}")
def test_every_loss_learns_a_toy_problem(objective):
    _, records = train(params(**objective, steps=20), validation=episodes())
    found = [record.val_accuracy for record in records if isinstance(record, Validation)]
    assert len(found) == 2
    assert found[-1] > 0.8  # 1 in 12 by chance


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    first, _ = train(params(steps=5))
    second, _ = train(params(steps=5))
    third, _ = train(params(steps=5, seed=1))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first_layer(first), first_layer(third))


@pytest.mark.parametrize("augment", [TRAIN.augment, Augment(preset="photographs")], ids=["drawings", "photographs"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, augment):
    monkeypatch.setattr(training_run, "SAVE_EVERY", 0.0)
    whole, wanted = train(params(patience=9, augment=augment), validation=episodes())
    path = tmp_path / "checkpoint.safetensors"
    train(params(patience=9, augment=augment), validation=episodes(), checkpoint=path, stop_after=20)
    resumed, records = train(params(patience=9, augment=augment), validation=episodes(), checkpoint=path)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
    timeless = [record if isinstance(record, dict) else dataclasses.asdict(record) for record in records]
    for one, other in zip(wanted, timeless, strict=True):
        expected = dataclasses.asdict(one)
        for key in expected.keys() - {"images_per_s", "seconds", "peak_memory_mb"}:
            assert other[key] == expected[key]
    assert isinstance(records[0], dict), "what was already yielded comes first, as mappings"


def test_early_stopping_keeps_the_best_weights(monkeypatch):
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6, 0.6])
    monkeypatch.setattr(training_run, "accuracies", lambda _: np.array([score := next(scores), score]))
    kept, records = train(params(steps=100, patience=2), validation=episodes())
    assert [record.best for record in records if isinstance(record, Validation)] == [True, True, False, False]
    told = "stopped, as the last 2 validations were below the best; kept step 20, the best on validation"
    assert records[-1].reason == told
    monkeypatch.undo()
    twenty, _ = train(params(steps=100), validation=episodes(), stop_after=20)
    assert torch.equal(first_layer(kept), first_layer(twenty))


@pytest.mark.parametrize(
    ("scores", "best", "kept"),
    [
        ([0.5, 0.9, 0.9, 0.8, 0.9, 0.8, 0.7], [True, True, True, False, True, False, False], 50),
        ([0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9], [True, False] * 3 + [True], 65),
        ([0.9] * 7, [True] * 7, 65),
    ],
)
def test_the_later_of_equals_is_kept_and_equals_are_not_stale(monkeypatch, scores, best, kept):
    given = iter(scores)
    monkeypatch.setattr(training_run, "accuracies", lambda _: np.array([score := next(given), score]))
    _, records = train(params(steps=65, patience=2), validation=episodes())
    found = [record for record in records if isinstance(record, Validation)]
    assert [record.step for record in found] == [10, 20, 30, 40, 50, 60, 65], "the last step is validated too"
    assert [record.best for record in found] == best
    assert records[-1].reason.endswith(f"kept step {kept}, the best on validation")


def test_a_training_shorter_than_validate_every_is_validated_once():
    _, records = train(params(steps=5, patience=4), validation=episodes())
    assert [record.step for record in records if isinstance(record, Validation)] == [5]


class Noisy(torch.nn.Module):
    """Dropout, stochastic depth, and noise of numpy's and Python's generators, while it trains."""

    def __init__(self):
        super().__init__()
        from timm.layers import DropPath

        self.dropout, self.depth = torch.nn.Dropout(0.3), DropPath(0.3)

    def forward(self, points):
        if self.training:
            points = points * (1 + 0.1 * np.random.rand() + 0.1 * random.random())  # noqa: NPY002
        return points + self.depth(self.dropout(points))


def test_a_resumed_training_draws_what_an_uninterrupted_one_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "SAVE_EVERY", 0.0)
    path = tmp_path / "checkpoint.safetensors"
    whole, _ = train(params(), head=Noisy())
    train(params(), checkpoint=path, stop_after=20, head=Noisy())
    for _ in range(7):  # whatever the process drew meanwhile
        torch.rand(3), np.random.rand(), random.random()  # noqa: NPY002
    resumed, records = train(params(), checkpoint=path, head=Noisy())
    assert isinstance(records[0], dict)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])


def test_records_tell_step_loss_speed_and_the_end():
    _, records = train(params(steps=25))
    assert [record.step for record in records if isinstance(record, Step)] == [10, 20, 25]
    assert all(record.images_per_s > 0 for record in records if isinstance(record, Step))
    assert isinstance(records[-1], Done) and records[-1].reason == "kept the last step"


def test_every_loss_of_the_table_is_tried_and_has_its_function():
    assert {objective["loss"] for objective in OBJECTIVES} == set(LOSSES)
    assert set(LOSSES) == {"prototypical", *OURS, *PML_LOSSES}


def test_embeddings_that_are_no_numbers_stop_training_with_step_classes_and_rate():
    message = r"were NaN or infinite at step \d+ with learning rate 1e\+18, in a batch of class \d+, .* and 3 more"
    with pytest.raises(TrainingDiverged, match=message):
        train(params(learning_rate=1e18, loss="contrastive", mining="all_pairs", margin=1.0))


def test_a_training_that_diverges_keeps_its_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "SAVE_EVERY", 0.0)
    path = tmp_path / "checkpoint.safetensors"
    train(params(steps=20), checkpoint=path, stop_after=20)
    before = path.read_bytes()
    with pytest.raises(TrainingDiverged):
        train(params(steps=60, learning_rate=1e30), checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("changes", [
    {"loss": "arcface"}, {"loss": "proxy_anchor"}, {"loss": "margin_beta"},
    {"loss": "cross_batch_memory", "loss_arguments": {"memory_size": 60}},
    {"loss": "triplet", "mining": "random_triplets", "margin": 1.0, "mine_every": 8, "mine_neighbours": 2},
], ids=lambda c: c["loss"])  # fmt: skip
def test_what_a_loss_learns_or_remembers_and_what_was_mined_survive_a_kill(tmp_path, monkeypatch, changes):
    monkeypatch.setattr(training_run, "SAVE_EVERY", 0.0)
    whole, wanted = train(params(**changes))
    path = tmp_path / "checkpoint.safetensors"
    train(params(**changes), checkpoint=path, stop_after=20)
    resumed, records = train(params(**changes), checkpoint=path)
    again = losses(records)
    assert 1 <= len(again) < 3 and again == losses(wanted)[-len(again) :]
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])


def test_proxies_are_trained_at_their_own_rate():
    slow, fast = (losses(train(params(loss="proxy_nca", proxy_learning_rate=rate))[1])[-1] for rate in (1e-9, 0.1))
    assert fast < 0.95 * slow


def test_the_share_of_active_triplets_is_told_and_falls():
    settings = params(loss="triplet", mining="batch_all", margin=1.0, steps=60)
    shares = [record.active for record in train(settings)[1] if isinstance(record, Step)]
    assert all(0 <= share <= 1 for share in shares) and shares[-1] < shares[0]
    assert all(r.active is None for r in train(params(steps=10))[1] if isinstance(r, Step)), "softmax losses have none"


def test_mined_batches_hold_classes_that_are_near_each_other(monkeypatch):
    seen = []
    draw = ClassBalanced.draw

    def spy(self, generator, neighbours=None):
        ids, labels = draw(self, generator, neighbours)
        seen.append((neighbours, labels.unique().tolist()))
        return ids, labels

    monkeypatch.setattr(ClassBalanced, "draw", spy)
    train(params(steps=12, mine_every=5, mine_neighbours=2))
    assert [neighbours is None for neighbours, _ in seen] == [True] * 5 + [False] * 7
    assert seen[5][0].shape == (CLASSES, 2) and all(len(labels) == 6 for _, labels in seen)


def test_batches_that_are_mirrored_are_those_of_mirrored_images(monkeypatch):
    still = {"augment": Augment(0.0, 0.0, 0.0, 0.0), "precision": "float32", "steps": 1}
    mirrored = losses(train(params(**still, task_augment=TaskAugment(1.0, 0.0, 0.0, 0.0)))[1])
    plain = losses(train(params(**still))[1])
    turned_over = toy_images()[:, :, ::-1].copy()
    monkeypatch.setattr(sys.modules[__name__], "toy_images", lambda: turned_over)
    assert mirrored == pytest.approx(losses(train(params(**still))[1]), rel=1e-3)
    assert mirrored != pytest.approx(plain, rel=1e-3)


def test_bf16_and_float32_give_nearly_the_same_losses():
    half, full = (losses(train(params(steps=1, precision=p))[1]) for p in ("bf16", "float32"))
    assert half == pytest.approx(full, rel=0.05)


def test_the_rate_warms_up_and_falls_to_zero_along_a_cosine():
    assert rate_share(0, 110, 10) == pytest.approx(0.1)
    assert rate_share(10, 110, 10) == pytest.approx(1.0)
    assert rate_share(60, 110, 10) == pytest.approx(0.5)
    assert rate_share(110, 110, 10) == pytest.approx(0.0)
