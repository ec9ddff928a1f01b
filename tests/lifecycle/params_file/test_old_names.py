"""A project with setting names of an older kshot: they are read, changed, reported once, and renamed by the doctor."""

import argparse
import shutil
from pathlib import Path

import pytest
import yaml

from kshot.cli.retrain import change_settings
from kshot.errors import ParamsError
from kshot.lifecycle.doctor import setting_names
from kshot.lifecycle.params_file import old_names, settings
from kshot.params import renamed
from kshot.params.reader import read_mapping
from kshot.params.schema import load_params

REPOSITORY = Path(__file__).parents[3]
OLD = """\
train:
  seed: 0
  backbone: conv4             # the network
  adaptation: head            # what learns
  method: metric
  # which loss
  loss: triplet
  margin: 0.5                 # of the triplet loss
  steps: 600
  loss_arguments: {}
  method_arguments: {}
  reduce: {dim: null, whiten: false}   # principal components

evaluate:
  head: method                # who answers
  views: 1
"""
GRAPH = """\
stages:
  embed:
    cmd: python -m kshot.lifecycle.stages.embed
    params:
      - train.backbone
      - train.device
  train:
    cmd: python -m kshot.lifecycle.stages.train
    params:
      - train
      - evaluate.head
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A project whose params.yaml and dvc.yaml use the old names of settings."""
    (tmp_path / "params.yaml").write_text(OLD, encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(GRAPH, encoding="utf-8")
    return tmp_path


def whole(root: Path) -> Path:
    """The shipped settings, section train by its old names, and the shipped graph."""
    mapping = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    for new, name in renamed.OLD_OF.items():
        value = renamed.at(mapping, new)
        section, _, key = name.rpartition(".")
        mapping.setdefault("old", {}).setdefault(section, {})[key] = value
    sections = mapping.pop("old")
    kept = {key: mapping["train"][key] for key in ("seed", "device", "splits", "steps", "precision", "lora", "augment")}
    mapping["train"] = {**kept, "task_augment": mapping["train"]["task_augment"], **sections["train"]}
    mapping["evaluate"] = {**mapping["evaluate"], **sections["evaluate"]}
    del mapping["evaluate"]["classifier"]
    (root / "params.yaml").write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    (root / "dvc.yaml").write_text(GRAPH, encoding="utf-8")
    return root


def test_old_names_are_one_line_that_says_what_renames_them(old: Path) -> None:
    line = old_names.notice(old)
    assert "\n" not in line and "kshot doctor --mend" in line
    assert "params.yaml has old names of settings: train.backbone, train.adaptation," in line


def test_todays_files_are_no_notice_and_no_finding() -> None:
    assert old_names.notice(REPOSITORY) == "" and setting_names.findings(REPOSITORY) == []


def test_the_doctor_renames_both_files_and_keeps_the_comments(old: Path) -> None:
    before = read_mapping(old / "params.yaml")
    (finding,) = setting_names.findings(old)
    assert not finding.must and finding.by_itself is not None
    assert finding.by_itself() == "9 settings in params.yaml renamed; 2 settings in dvc.yaml renamed"
    text = (old / "params.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == before
    for line in (
        "    backbone: conv4           # the network",
        "    adaptation: projection    # what learns",
        "    margin: 0.5               # of the triplet loss",
        "  classifier: method          # who answers",
    ):
        assert line in text.splitlines()
    assert "# which loss" in text and "# principal components" in text
    graph = yaml.safe_load((old / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert graph["embed"]["params"] == ["train.network.backbone", "train.device"]
    assert graph["train"]["params"] == ["train", "evaluate.classifier"]
    assert setting_names.findings(old) == [] and old_names.notice(old) == ""


def test_a_setting_by_both_names_is_refused_and_nothing_is_written(old: Path) -> None:
    text = OLD.replace("  views: 1\n", "  views: 1\n  classifier: prototype\n")
    (old / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match="evaluate.classifier is there by its old name evaluate.head too"):
        old_names.mend(old)
    assert (old / "params.yaml").read_text(encoding="utf-8") == text
    assert (old / "dvc.yaml").read_text(encoding="utf-8") == GRAPH


@pytest.mark.parametrize("newer", ["dvc.yaml", "params.yaml"])
def test_files_that_name_settings_differently_are_refused_and_mended(old: Path, newer: str) -> None:
    if newer == "dvc.yaml":
        (old / newer).write_text(GRAPH.replace("train.backbone", "train.network"), encoding="utf-8")
    else:
        (old / newer).write_text(old_names.rewritten(OLD), encoding="utf-8")
    with pytest.raises(ParamsError, match=r"dvc.yaml names train\..*, which params.yaml has by another name; `kshot d"):
        old_names.notice(old)
    (finding,) = setting_names.findings(old)
    assert finding.must and finding.by_itself is not None
    finding.by_itself()
    assert old_names.notice(old) == ""


def test_a_change_keeps_the_names_that_the_file_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = whole(tmp_path)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("train: {loss: {name: triplet, mining: semi_hard}, patience: 7}\n", encoding="utf-8")
    options = argparse.Namespace(params=overlay, sets=["train.margin=0.5", "train.projection.reduce.dim=4"])
    change_settings(root, options)
    found = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["train"]
    assert (found["loss"], found["mining"], found["patience"], found["margin"]) == ("triplet", "semi_hard", 7, 0.5)
    assert found["reduce"] == {"dim": 4, "whiten": False} and "projection" not in found
    train = load_params(root / "params.yaml").train
    assert (train.loss.name, train.loss.margin, train.projection.reduce.dim) == ("triplet", 0.5, 4)
    said = capsys.readouterr().out
    assert (
        "old names of settings: train.margin is train.loss.margin now, train.patience is train.validation.pat" in said
    )
    assert "train.loss.margin" in said and said.count("kshot doctor --mend") == 1


def test_an_old_name_changes_the_setting_of_today(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    text, changes = settings.plan(tmp_path, sets=["train.method=matching", "train.method_arguments.steps=3"])
    assert [str(change) for change in changes] == [
        "train.method.name: metric -> matching",
        "train.method.arguments.steps: null -> 3",
    ]
    assert old_names.overrides_notice(None, ["train.method=matching"]).startswith(
        "old names of settings: train.method is train.me"
    )
    assert old_names.overrides_notice(None, ["train.method={name: matching}", "train.steps=5"]) == ""
    assert "method: matching" not in text


def test_a_newer_setting_that_dvc_does_not_watch_is_refused(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    assert old_names.notice(tmp_path) == ""
    graph = (tmp_path / "dvc.yaml").read_text(encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(graph.replace("      - ingest.fit\n", ""), encoding="utf-8")
    with pytest.raises(ParamsError, match="below each line `- ingest.crop` of dvc.yaml add `- ingest.fit`"):
        old_names.notice(tmp_path)
