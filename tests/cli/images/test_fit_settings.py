"""`kshot init --images` and `kshot fit-settings` from a person's view."""

import re
from pathlib import Path

import pytest
import yaml

from kshot import cli
from kshot.lifecycle.project import git
from kshot.lifecycle.retraining import steps
from kshot.lifecycle.settings_fit import packaged_weights, proposal
from kshot.lifecycle.settings_fit.fitted_settings import NoWeights
from kshot.params.renamed import OLD_OF, at, is_there, outdated
from kshot.params.schema import load_params
from tests.lifecycle import raw_project

CLASSES = {f"class{number}": 6 for number in range(12)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images, twelve classes of six photographs; no weights are installed."""
    raw_project.write_tree(tmp_path / "photos", CLASSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda: None)
    return tmp_path


def kshot(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main([*arguments])
    return code, *capsys.readouterr()


def test_init_writes_settings_that_fit_and_commits_them_with_the_data(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = kshot(capsys, "init", "shop", "--images", "photos", "--from-scratch")
    assert (code, err) == (0, "") and out.endswith("\n  cd shop && kshot retrain\n")
    assert "72 images, 12 classes from photos" in out and re.search(
        r"train\.network\.backbone +conv4 \(trained from nothing", out
    )
    root = here / "shop"
    params = load_params(root / "params.yaml")
    assert params.episodes.protocols == params.episodes.n_query == params.gate.min_accuracy == "auto"
    assert "auto (5w1s, 5w5s now" in " ".join(out.split())
    assert (params.ingest.size, params.ingest.channels, params.project) == (16, 1, "shop")
    assert git.text(root, "status", "--porcelain") == "" and len(git.text(root, "rev-list", "HEAD").split()) == 1
    assert {"data/raw.dvc", "data/versions.jsonl"} <= set(git.text(root, "ls-files").split())
    assert "# pixels; images are packed as squares" in (root / "params.yaml").read_text()  # comments stay
    monkeypatch.chdir(root)
    assert "params.yaml says all of this already" in kshot(capsys, "fit-settings", "--from-scratch")[1]


def test_fit_settings_shows_what_new_data_changes_and_writes_it_when_agreed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kshot(capsys, "init", "shop")[0] == 0
    monkeypatch.chdir(here / "shop")
    assert kshot(capsys, "fit-settings", "--from-scratch")[2].startswith("kshot: error: there is no data yet")
    _, out, _ = kshot(capsys, "data", "add", "../photos")
    assert out.endswith("for settings that fit these images: kshot fit-settings\n")
    before = (here / "shop/params.yaml").read_text()
    code, out, _ = kshot(capsys, "fit-settings", "--from-scratch")
    assert code == 0 and "params.yaml, would change:" in out and "episodes.protocols" in out
    assert (here / "shop/params.yaml").read_text() == before
    code, out, _ = kshot(capsys, "fit-settings", "--from-scratch", "--yes")
    assert code == 0 and out.endswith("train with them: kshot retrain\n")
    assert load_params(here / "shop/params.yaml").train.batch.classes == 2
    raw_project.write_tree(here / "photos", {f"class{number}": 6 for number in range(12, 20)})
    added = kshot(capsys, "data", "add", "../photos")[1]
    assert "8 new classes: in train (class" in added and "another split" not in added
    assert "built-in letters" not in added and "protocols and queries follow the classes" in added
    assert "train.batch.classes" in kshot(capsys, "fit-settings", "--from-scratch")[1].split("would change")[1]


def test_without_weights_photographs_keep_their_project_and_the_remedies_are_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = kshot(capsys, "init", "shop", "--images", "photos")
    assert code == 5 and "pip install 'kshot[photographs]'" in err and "cd shop && kshot fit-settings --yes" in err
    shipped = yaml.safe_load((raw_project.REPOSITORY / "params.yaml").read_text())
    assert yaml.safe_load((here / "shop/params.yaml").read_text())["train"] == shipped["train"]
    monkeypatch.chdir(here / "shop")
    assert kshot(capsys, "fit-settings", "--yes")[0] == 5
    with pytest.raises(NoWeights, match="are photographs .* kshot fit-settings --yes; it needs pip .* --from-scratch"):
        steps.ready_data(here / "shop")
    assert kshot(capsys, "fit-settings", "--yes", "--from-scratch")[0] == 0
    assert steps.ready_data(here / "shop").images == 72


def test_old_names_and_missing_keys_are_still_the_settings_of_the_letters(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kshot(capsys, "init", "shop")[0] == 0
    path = here / "shop/params.yaml"
    content = yaml.safe_load(path.read_text())
    del content["ingest"]["crop"]
    for new, old in OLD_OF.items():
        section, _, key = new.rpartition(".")
        if old.startswith("train.") and is_there(content, new):
            content["train"][old.removeprefix("train.")] = at(content, section).pop(key)
    content["train"] = {key: value for key, value in content["train"].items() if value != {}}
    path.write_text(yaml.safe_dump(content))
    assert "train.head_dim" in outdated(yaml.safe_load(path.read_text())) and proposal.is_template(here / "shop")
    content["train"]["steps"] += 1
    path.write_text(yaml.safe_dump(content))
    assert not proposal.is_template(here / "shop")


@pytest.mark.parametrize(
    ("classes", "source", "message"),
    [
        ({"robin": 3}, "birds", "birds has one class"),
        ({"robin": 3, "wren": 3}, "birds", "2 classes have two different images or more; needs at least 5"),
        ({}, "birds", "birds does not exist"),
    ],
)
def test_a_source_of_no_use_leaves_no_project(
    here: Path, capsys: pytest.CaptureFixture[str], classes: dict[str, int], source: str, message: str
) -> None:
    raw_project.write_tree(here / "birds", classes)
    code, _, err = kshot(capsys, "init", "shop", "--images", source, "--from-scratch")
    assert code == 3 and message in err and err.count("\n") == 1
    assert not (here / "shop").exists()


def test_weights_of_another_network_are_refused_and_leave_no_project(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, here / "other.safetensors")
    (here / "shop").mkdir()
    code, _, err = kshot(capsys, "init", "shop", "--images", "photos", "--weights", "other.safetensors")
    assert code == 5 and "does not fit the backbone" in err
    assert list((here / "shop").iterdir()) == []  # it was there, and empty


SMALL = "mobilenetv3_small_050"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which is out of reach."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_network_that_is_named_begins_from_its_weights_of_the_hub_and_stays(
    here: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm
    from safetensors.torch import save_file

    network = timm.create_model(SMALL)
    cached = hub / f"models--{network.pretrained_cfg['hf_hub_id'].replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text("0" * 40)
    (cached / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(network.state_dict(), cached / "snapshots" / ("0" * 40) / "model.safetensors")
    code, out, err = kshot(capsys, "init", "shop", "--images", "photos", "--backbone", SMALL)
    assert (code, err) == (0, "") and re.search(rf"train\.network\.backbone +{SMALL} \(the network that you named", out)
    params = load_params(here / "shop/params.yaml")
    network_params = params.train.network
    assert (network_params.backbone, network_params.pretrained, network_params.checkpoint) == (SMALL, True, None)
    monkeypatch.chdir(here / "shop")
    assert "params.yaml says all of this already" in kshot(capsys, "fit-settings")[1]
    save_file({name: one.contiguous() for name, one in network.state_dict().items()}, here / "own.safetensors")
    assert kshot(capsys, "fit-settings", "--yes", "--weights", "../own.safetensors", "--backbone", SMALL)[0] == 0
    assert "params.yaml says all of this already" in kshot(capsys, "fit-settings")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([SMALL], "could not be had from the hub"),
        (["mobilenetv3_smal_050"], f"the nearest are {SMALL}"),
        (["conv4"], "conv4 has no published weights"),
        ([SMALL, "--from-scratch"], "--from-scratch trains a small network"),
    ],
)
def test_a_network_whose_weights_cannot_be_had_is_refused_before_images_are_read(
    here: Path, hub: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, out, err = kshot(capsys, "init", "shop", "--images", "photos", "--backbone", *words)
    assert code in (2, 5) and message in err and err.count("\n") == 1 and "data version" not in out
    assert not (here / "shop").exists()


def test_folders_named_train_val_and_test_are_the_split(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = {"train": 4, "val": 2, "test": 3}
    raw_project.write_tree(here / "sets", {f"{name}/{name}{n}": 5 for name, many in sets.items() for n in range(many)})
    code, out, _ = kshot(capsys, "init", "shop", "--images", "sets", "--from-scratch")
    assert code == 0 and "own split: 4 classes to train on, 2 to validate on, 3 to test on" in " ".join(out.split())
    params = load_params(here / "shop/params.yaml")
    assert params.split.by == "table" and params.episodes.protocols == "auto"
    assert "auto (2w1s now" in " ".join(out.split())
