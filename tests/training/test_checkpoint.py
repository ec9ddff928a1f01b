import dataclasses

import pytest
import torch

from kshot.errors import CheckpointError
from kshot.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)


def checkpoint(step=3):
    generator = torch.Generator().manual_seed(step).get_state()
    return Checkpoint(
        weights={"a.weight": torch.full((2,), float(step))},
        best={},
        optimizer={"0/step": torch.tensor(float(step))},
        mined={"neighbours": torch.tensor([[1], [0]])},
        generators={"batches": generator},
        notes={"step": step, "history": [{}]},
    )


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "deep" / "checkpoint.safetensors"
    save_checkpoint(checkpoint(), path)
    found = load_checkpoint(path)
    assert found.notes == {"step": 3, "history": [{}]}
    assert torch.equal(found.weights["a.weight"], torch.tensor([3.0, 3.0]))
    assert found.best == {}
    assert torch.equal(found.optimizer["0/step"], torch.tensor(3.0))
    assert torch.equal(found.mined["neighbours"], torch.tensor([[1], [0]]))
    assert torch.equal(found.generators["batches"], checkpoint().generators["batches"])


def test_a_newer_one_replaces_the_older_and_leaves_nothing_else(tmp_path):
    for step in (1, 2):
        save_checkpoint(checkpoint(step), tmp_path / "checkpoint.safetensors")
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").notes["step"] == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_none_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint.safetensors") is None


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_another_file_is_told(tmp_path, content):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint of kshot"):
        load_checkpoint(path)


def test_one_of_an_older_version_is_told(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(dataclasses.replace(checkpoint(), generators={}), path)
    with pytest.raises(CheckpointError, match="no states of random generators, .*; delete it to train from the start"):
        load_checkpoint(path)
