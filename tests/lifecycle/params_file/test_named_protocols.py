"""Protocols of `--set` by their names: the form that a person types first works."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.lifecycle.params_file import settings
from tests.lifecycle.params_file.test_settings import SHIPPED

FIVE = {"n_way": 5, "k_shot": 1, "within_group": False}
GROUP = {"n_way": 3, "k_shot": 1, "within_group": True}


@pytest.mark.parametrize(
    ("text", "protocols"),
    [
        ("5w1s", {"5w1s": FIVE}),
        ("[5w1s]", {"5w1s": FIVE}),
        ("5w1s, 3w1s_group", {"5w1s": FIVE, "3w1s_group": GROUP}),
        ("auto", "auto"),
        ("{mine: {n_way: 5, k_shot: 1, within_group: false}}", {"mine": FIVE}),
    ],
)
def test_names_stand_for_their_protocols(tmp_path: Path, text: str, protocols: Any) -> None:
    shutil.copy(SHIPPED, tmp_path)
    sets = [f"episodes.protocols={text}", "gate.min_accuracy=auto", "train.validation.protocol=auto"]
    written, _ = settings.plan(tmp_path, sets=[*sets, "gate.group_protocol=auto"])
    assert yaml.safe_load(written)["episodes"]["protocols"] == protocols


def test_a_name_of_no_protocol_is_refused_with_a_form_that_works(tmp_path: Path) -> None:
    shutil.copy(SHIPPED, tmp_path)
    with pytest.raises(ParamsError, match=r"'5way' is no protocol; needs names such as episodes\.protocols=5w1s,5w5s"):
        settings.plan(tmp_path, sets=["episodes.protocols=[5way]"])
