import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from kshot import training
from kshot.embedding import Embedding
from kshot.episodes import EpisodeSet
from kshot.errors import TrainingDiverged
from kshot.params import load_params
from kshot.training import Done, Step, Validation, learning_rate, meta_train

TRAIN = load_params(Path(__file__).parents[1] / "params.yaml").train
CLASSES, IMAGES, SIZE = 12, 8, 16


def toy_images():
    """Each class a pattern of its own under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (CLASSES, 4, 4)).repeat(4, 1).repeat(4, 2) * 120
    pixels = patterns[:, None] + rng.integers(0, 130, (CLASSES, IMAGES, SIZE, SIZE))
    return pixels.reshape(-1, SIZE, SIZE, 1).astype(np.uint8)


def params(**changes):
    small = {"steps": 30, "classes_per_batch": 6, "images_per_class": 4, "validate_every": 10, "patience": 0}
    return dataclasses.replace(TRAIN, **{**small, **changes})


def train(settings, validation=None, checkpoint=None, stop_after=None):
    torch.manual_seed(settings.seed)
    embedding = Embedding(
        {
            "backbone": "conv4",
            "head_dim": settings.head_dim,
            "l2_normalize": settings.l2_normalize,
            "batch_norm": "eval",
            "ingest": {"size": SIZE, "channels": 1, "invert": True},
        }
    )
    members = [np.arange(c * IMAGES, (c + 1) * IMAGES) for c in range(CLASSES)]
    names = [f"class {c}" for c in range(CLASSES)]
    records = []
    run = meta_train(embedding, toy_images(), members, names, settings, validation=validation, checkpoint=checkpoint)
    for record in run:
        records.append(record)
        if stop_after is not None and getattr(record, "step", 0) >= stop_after:
            run.close()
            break
    return embedding, records


def episodes():
    ids = np.arange(CLASSES * IMAGES).reshape(1, CLASSES, IMAGES)
    return EpisodeSet(ids[:, :, :1].repeat(2, 0), ids[:, :, 1:].repeat(2, 0), np.arange(CLASSES)[None].repeat(2, 0))


def losses(records):
    return [record.loss for record in records if isinstance(record, Step)]


OBJECTIVES = [
    {"loss": "prototypical"},
    {"loss": "contrastive", "margin": 1.0, "l2_normalize": True},
    {"loss": "triplet", "margin": 0.5, "mining": "batch_all", "l2_normalize": True},
    {"loss": "triplet", "margin": 0.5, "mining": "batch_hard", "l2_normalize": True},
    {"loss": "triplet", "margin": 0.5, "mining": "semi_hard", "l2_normalize": True, "head_dim": 16},
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: "-".join(map(str, o.values())))
def test_every_loss_learns_a_toy_problem(objective):
    _, records = train(params(**objective), validation=episodes())
    found = [record.val_accuracy for record in records if isinstance(record, Validation)]
    assert len(found) == 3
    assert found[-1] > 0.8  # 1 in 12 by chance


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    first, _ = train(params(steps=5))
    second, _ = train(params(steps=5))
    third, _ = train(params(steps=5, seed=1))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.state_dict()["backbone.0.weight"], third.state_dict()["backbone.0.weight"])


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    whole, wanted = train(params(patience=9), validation=episodes())
    path = tmp_path / "checkpoint.safetensors"
    train(params(patience=9), validation=episodes(), checkpoint=path, stop_after=20)
    resumed, records = train(params(patience=9), validation=episodes(), checkpoint=path)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
    timeless = [record if isinstance(record, dict) else dataclasses.asdict(record) for record in records]
    for one, other in zip(wanted, timeless, strict=True):
        expected = dataclasses.asdict(one)
        for key in expected.keys() - {"images_per_s", "seconds"}:
            assert other[key] == expected[key]
    assert isinstance(records[0], dict), "what was already yielded comes first, as mappings"


def test_early_stopping_keeps_the_best_weights(monkeypatch):
    scores = iter([0.5, 0.9, 0.8, 0.7, 0.6, 0.6])
    monkeypatch.setattr(training, "accuracies", lambda _: np.array([score := next(scores), score]))
    kept, records = train(params(steps=100, patience=2), validation=episodes())
    assert [record.best for record in records if isinstance(record, Validation)] == [True, True, False, False]
    assert records[-1].reason == "no better validation in 2 looks; the weights of step 20 were kept"
    monkeypatch.undo()
    twenty, _ = train(params(steps=100), validation=episodes(), stop_after=20)
    assert torch.equal(kept.state_dict()["backbone.0.weight"], twenty.state_dict()["backbone.0.weight"])


def test_records_tell_step_loss_speed_and_the_end():
    _, records = train(params(steps=25))
    assert [record.step for record in records if isinstance(record, Step)] == [10, 20, 25]
    assert all(record.images_per_s > 0 for record in records if isinstance(record, Step))
    assert isinstance(records[-1], Done) and records[-1].reason == "all 25 steps done"


def test_a_loss_that_is_no_number_stops_training_with_the_step_and_the_rate():
    with pytest.raises(TrainingDiverged, match=r"loss was nan at step \d+ with learning rate [\d.]+e\+17"):
        train(params(learning_rate=1e18, loss="contrastive", margin=1.0))


def test_bf16_and_float32_give_nearly_the_same_losses():
    half, full = (losses(train(params(steps=1, precision=p))[1]) for p in ("bf16", "float32"))
    assert half == pytest.approx(full, rel=0.05)


def test_the_rate_warms_up_and_falls_to_zero_along_a_cosine():
    settings = params(steps=110, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(0, settings) == pytest.approx(0.1)
    assert learning_rate(10, settings) == pytest.approx(1.0)
    assert learning_rate(60, settings) == pytest.approx(0.5)
    assert learning_rate(110, settings) == pytest.approx(0.0)
