import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kshot.errors import CheckpointError
from kshot.methods.method import Method
from kshot.methods.saving import OWN_WEIGHTS, load_method, save_method
from kshot.methods.table import build_method, describe
from kshot.nets.embedding import SETTINGS, Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.methods import METHODS
from kshot.params.schema import load_params
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[2] / "params.yaml").train
SIZE = 16


def made(name, **arguments):
    torch.manual_seed(0)
    train = train_with(TRAIN, method=name, method_arguments=arguments, n_way=5 if METHODS[name].episodic else None)
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    settings |= {
        "ingest": {"size": SIZE, "channels": 1, "invert": True},
        "method": describe(train.method, train.batch.classes),
    }
    method = build_method(settings["method"], Embedding(settings_of(settings)))
    method.prepare(train, 7)
    for value in method.parameters():
        torch.nn.init.normal_(value, std=0.1)
    for running in method.buffers():
        if running.is_floating_point():
            torch.nn.init.uniform_(running, 0.5, 2.0)
    method.centre.normal_()
    # As a loaded one: many inner steps carry another memory layout's rounding far.
    return method.to(memory_format=torch.channels_last).eval()


def answer(method):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        points = method.embed(pixels)
    return method.scores(points[None, :4], torch.tensor([0, 1, 1, 2]), points[None, 4:], 3).detach()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*((name, {}) for name in METHODS), ("matching", {"full_context": True, "learn_temperature": True}),
     ("prototypical", {"distance": "cosine", "learn_temperature": True}),
     ("maml", {"learn_rates": True, "batch_norm": "support"}), ("transfer", {"classifier": "cosine"}),
     ("mann", {"standardize": True, "write_values": True, "key_strength": True})],
)  # fmt: skip
def test_a_loaded_method_answers_as_the_one_that_was_saved(tmp_path, name, arguments):
    method = made(name, **arguments)
    save_method(method, tmp_path)
    loaded = load_method(tmp_path)
    torch.testing.assert_close(answer(loaded), answer(method))
    assert torch.equal(loaded.centre, method.centre) and not loaded.training
    assert not [key for key in loaded.state_dict() if key.split(".")[0] in method.training_only]


@pytest.mark.parametrize("name", METHODS)
def test_the_table_says_of_a_method_what_its_class_does(name):
    method = made(name)
    assert METHODS[name].fixed_embedding == method.has_fixed_embedding
    assert METHODS[name].own_classifier == (type(method).scores is not Method.scores)


def test_a_model_that_is_older_than_methods_is_answered_by_prototypes(tmp_path):
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    save_embedding(
        Embedding(settings_of({**settings, "ingest": {"size": SIZE, "channels": 1, "invert": True}})), tmp_path
    )
    assert answer(load_method(tmp_path)).shape == (1, 8, 3)


def test_files_that_miss_or_belong_to_another_training_are_told(tmp_path):
    save_method(made("matching", full_context=True), tmp_path)
    (tmp_path / OWN_WEIGHTS).rename(tmp_path / "away")
    with pytest.raises(CheckpointError, match=f"holds no model that can be loaded: .*{OWN_WEIGHTS}"):
        load_method(tmp_path)
    save_method(made("siamese"), tmp_path / "other")
    (tmp_path / "other" / OWN_WEIGHTS).rename(tmp_path / OWN_WEIGHTS)
    with pytest.raises(CheckpointError, match="does not fit: .*encoder"):
        load_method(tmp_path)


def test_a_method_that_is_not_in_the_table_is_not_built(tmp_path):
    save_method(made("siamese"), tmp_path)
    settings = json.loads((tmp_path / SETTINGS).read_text())
    settings["method"]["name"] = "os.system"
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"os\.system"):
        load_method(tmp_path)


def test_points_of_maml_are_the_pixels_in_their_bytes():
    method = made("maml")
    pixels = torch.from_numpy(np.arange(2 * SIZE * SIZE).reshape(2, 1, SIZE, SIZE).astype(np.uint8))
    assert method.embed(pixels).dtype == torch.uint8 and method.embed(pixels).shape == (2, method.dim)
