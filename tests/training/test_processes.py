from pathlib import Path

import pytest
import torch

from kshot.errors import ParamsError
from kshot.params.schema import load_params
from kshot.training.processes import process_count
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[2] / "params.yaml").train
CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))


@pytest.fixture(autouse=True)
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


def test_auto_is_one_a_gpu_and_one_on_a_cpu():
    assert [process_count(TRAIN, device) for device in (CPU, CUDA, MPS)] == [1, 4, 1]


def test_auto_is_one_where_several_cannot_train_or_nothing_is_trained():
    assert process_count(train_with(TRAIN, method="maml", n_way=5), CUDA) == 1
    frozen = train_with(TRAIN, backbone="resnet18", pretrained=True, adaptation="frozen")
    assert process_count(frozen, CUDA) == 1
    assert process_count(train_with(TRAIN, classes_per_batch=2, images_per_class=1 + 1, mine_neighbours=1), CUDA) == 4


def test_more_processes_than_gpus_are_refused_and_on_a_cpu_any_number_is_taken():
    assert process_count(train_with(TRAIN, processes=5), CPU) == 5
    with pytest.raises(ParamsError, match="train.processes is 5, and this machine has 4 GPUs; .*set 4 or auto"):
        process_count(train_with(TRAIN, processes=5), CUDA)
    with pytest.raises(ParamsError, match="MPS has one device"):
        process_count(train_with(TRAIN, processes=2), MPS)


def test_a_batch_smaller_than_the_processes_and_a_method_that_cannot_are_refused_before_anything_runs():
    with pytest.raises(ParamsError, match="train.processes is 361 and a batch has 360 images"):
        train_with(TRAIN, processes=361)
    with pytest.raises(ParamsError, match="train.processes is 0"):
        train_with(TRAIN, processes=0)
    for method in ("maml", "anil", "reptile"):
        with pytest.raises(ParamsError, match=f"train.processes is 2; {method} changes the network for each episode"):
            train_with(TRAIN, method=method, processes=2)
        assert train_with(TRAIN, method=method, processes=1).processes == 1
