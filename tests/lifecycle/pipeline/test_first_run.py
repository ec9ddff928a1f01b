"""The estimate of a first retraining, from the time of an image on this machine."""

import shutil
from pathlib import Path

import pytest
import yaml

from kshot import cli
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.pipeline import first_run
from kshot.params.schema import load_params
from tests.lifecycle import raw_project
from tests.short_names import set_train

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = raw_project.make(tmp_path / "root")
    add_version.add(root, str(raw_project.write_tree(tmp_path / "birds", {"robin": 3, "wren": 2})))
    return root


def settings(root: Path, **train: object) -> None:
    mapping = yaml.safe_load((root / "params.yaml").read_text())
    set_train(mapping, **train)
    (root / "params.yaml").write_text(yaml.safe_dump(mapping))


def test_all_images_count_and_some_are_timed(root: Path) -> None:
    found = first_run.expected(root)
    assert found is not None and found[0] == 5
    assert found[1] > first_run.STAGES_S + first_run.PREDICTIONS_S


def test_training_takes_most_of_the_time_of_a_network_that_is_trained(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    params = load_params(tmp_path / "params.yaml")
    fixed = first_run.STAGES_S + first_run.PREDICTIONS_S
    once = first_run.estimate(0, params, decoding=1.0, forward=0.001)
    assert once == pytest.approx(fixed + 600 * 60 * 6 * 3 * 0.001)
    images = first_run.estimate(1000, params, decoding=0.01, forward=0.0)
    assert images == pytest.approx(fixed + 10)


def test_plan_says_it_before_anything_has_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setattr(first_run, "expected", lambda _: (2640, 173.0))
    assert cli.main(["plan"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "first run: about 2 min 50 s for 2,640 images, by timing 16 of them here"


@pytest.mark.parametrize("train", [{"method": "maml"}, {"backbone": "resnet18", "checkpoint": "none.safetensors"}])
def test_what_cannot_be_timed_is_not_made_up(
    root: Path, train: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(root, **train)
    assert first_run.expected(root) is None
    monkeypatch.chdir(root)
    assert cli.main(["plan"]) == 0
    assert "so its time is not known" in capsys.readouterr().out


def test_in_a_fresh_clone_without_its_images_the_plan_is_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / "data" / "raw")
    monkeypatch.chdir(root)
    assert cli.main(["plan"]) == 0
    assert "so its time is not known" in capsys.readouterr().out


def test_without_images_of_ones_own_nothing_is_timed(tmp_path: Path) -> None:
    assert first_run.expected(raw_project.make(tmp_path / "root")) is None
