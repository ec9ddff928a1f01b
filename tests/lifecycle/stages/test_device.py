import pytest
import torch

from kshot.lifecycle.stages.device import project_device


@pytest.mark.parametrize(
    ("text", "here", "wanted"),
    [
        ("train: {device: cpu}", ["cuda", "cpu"], "cpu"),
        ("train: {device: auto}", ["cuda", "cpu"], "cuda"),
        ("train: {device: cuda}", ["cpu"], "cpu"),
        (None, ["cuda", "cpu"], "cuda"),
    ],
)
def test_the_settings_choose_the_device_and_a_missing_one_is_replaced(tmp_path, monkeypatch, text, here, wanted):
    if text is not None:
        (tmp_path / "params.yaml").write_text(text)
    monkeypatch.setattr("kshot.nets.devices.present", lambda: here)
    assert project_device(tmp_path) == torch.device(wanted)
