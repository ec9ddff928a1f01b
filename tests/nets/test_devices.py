import pytest
import torch

from kshot.errors import ParamsError
from kshot.nets.devices import choose_device


def test_a_device_that_is_not_there_is_told():
    assert choose_device("cpu") == torch.device("cpu")
    if not torch.backends.mps.is_available():
        with pytest.raises(ParamsError, match="train.device is mps, but this machine only has: "):
            choose_device("mps")
