import json
import re
from pathlib import Path

import pytest
import yaml

from kshot.data.shards.packed_shards import read_table
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import evaluate, train
from kshot.lifecycle.tracking import lineage
from kshot.nets.embedding import load_embedding
from kshot.params.schema import params_from
from kshot.params.sections.ingest import Ingest
from kshot.training import records, training_run
from tests.lifecycle import packed_project
from tests.short_names import set_train

DEFAULTS = Path(__file__).parents[3] / "params.yaml"


def params(**changes):
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    set_train(mapping, **changes)
    return params_from(mapping)


@pytest.fixture
def root(tmp_path):
    packed_project.write(tmp_path)
    return tmp_path


def lines(root):
    return [json.loads(line) for line in (root / layout.TRAIN_LOG).read_text().splitlines()]


def test_the_model_the_log_and_the_curves_are_written(root):
    train.run(root, params())
    embedding = load_embedding(root / layout.MODEL)
    assert embedding.settings.trained_on == tuple(f"Ελληνικά/{letter}" for letter in "abcdef")
    assert embedding.settings.ingest == Ingest(size=16, channels=1, invert=True, crop="none")
    assert embedding.settings.batch_norm == "eval"
    log = lines(root)
    assert [line["step"] for line in log if "loss" in line] == [10, 20]
    assert [line["step"] for line in log if "val_accuracy" in line] == [10, 20]
    assert log[-1]["done"] is True
    curves = (root / layout.CURVES).read_text().splitlines()
    assert curves[0] == "step,loss,val_accuracy" and len(curves) == 3


def test_the_same_seed_writes_the_same_bytes(root):
    for folder in ("first", "second"):
        train.run(root, params())
        (root / layout.MODEL).rename(root / folder)
    for name in ("embedding.safetensors", "embedding.json"):
        assert (root / "first" / name).read_bytes() == (root / "second" / name).read_bytes()


def test_images_in_many_shards_or_in_the_one_file_of_an_older_kshot_train_the_same_bytes_and_figures(root):
    found = []
    for _ in range(2):
        train.run(root, params())
        evaluate.run(root, params())
        figures = json.loads((root / layout.METRICS).read_text())
        found.append(((root / layout.MODEL / "embedding.safetensors").read_bytes(), figures["accuracy"]))
        if len(found) == 1:
            packed_project.split_into_shards(root, rows=7)
    assert len(read_table(root / layout.PACKED)) == 21 and found[0] == found[1]


def test_an_interrupted_training_resumes_and_a_finished_one_leaves_no_checkpoint(root, monkeypatch):
    monkeypatch.setattr(training_run, "SAVE_EVERY", 0.0)
    train.run(root, params())
    wanted = (root / layout.MODEL / "embedding.safetensors").read_bytes()
    checkpoints = root / layout.STATE / "checkpoints"
    assert not list(checkpoints.rglob("*.safetensors"))

    original = records.Validation
    monkeypatch.setattr(
        training_run, "Validation", lambda step, *rest: interrupt() if step == 20 else original(step, *rest)
    )
    with pytest.raises(KeyboardInterrupt):
        train.run(root, params())
    assert len(list(checkpoints.rglob("*.safetensors"))) == 1

    monkeypatch.setattr(training_run, "Validation", original)
    train.run(root, params())
    assert (root / layout.MODEL / "embedding.safetensors").read_bytes() == wanted
    assert [line["step"] for line in lines(root) if "loss" in line] == [10, 20]
    assert not list(checkpoints.rglob("*.safetensors"))


def test_batches_are_drawn_by_groups_and_a_turned_group_is_one_of_its_own(tmp_path):
    packed_project.write(tmp_path, rotations=True)
    train.run(tmp_path, params(classes_of_group=2, classes_per_batch=8))
    with pytest.raises(DataError, match="4 groups, 8 classes with 2 of each"):
        train.run(tmp_path, params(classes_of_group=2, classes_per_batch=9))


def interrupt():
    raise KeyboardInterrupt


def test_a_checkpoint_of_other_inputs_is_not_resumed(root):
    one, other = train.inputs_key(root, params()), train.inputs_key(root, params(seed=1))
    assert one != other
    manifest = root / layout.PACKED / "manifest.parquet"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert train.inputs_key(root, params()) != one


def test_a_checkpoint_is_resumed_by_any_number_of_processes(root):
    assert train.inputs_key(root, params()) == train.inputs_key(root, params(processes=2))


def test_two_processes_write_the_model_of_one_and_their_number_once(root):
    found = {}
    for count in (1, 2):
        mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
        set_train(mapping, processes=count, precision="float32")
        (root / "params.yaml").write_text(yaml.safe_dump(mapping))
        train.run(root, params_from(mapping))
        log = [(line["step"], line.get("loss", 0), line.get("val_accuracy", 0)) for line in lines(root)]
        found[count] = log, json.loads((root / layout.MODEL / "embedding.json").read_text())
        assert lineage.processes(root) == ("" if count == 1 else "2")
    (one, described), (two, described_too) = found[1], found[2]
    for line, other in zip(one, two, strict=True):
        # Float32, in which AdamW makes steps of rounding: tests/parallel compares weights in float64.
        assert line == pytest.approx(other, abs=0.05)
    assert "processes" not in described
    assert described_too == {**described, "processes": 2}


def test_training_on_validation_classes_draws_no_validation_curve(root):
    train.run(root, params(splits=["train", "val"], patience=0))
    assert not [line for line in lines(root) if "val_accuracy" in line]
    assert len(load_embedding(root / layout.MODEL).settings.trained_on) == 12


def test_more_classes_a_batch_than_there_are_is_told(root):
    with pytest.raises(DataError, match="the training split has 6 classes; train.batch.classes is 7"):
        train.run(root, params(classes_per_batch=7))


def test_an_automatic_batch_takes_the_classes_that_there_are_and_is_recorded(root, capsys):
    train.run(root, params(classes_per_batch="auto"))
    assert "batches of 6 classes x 4 images" in capsys.readouterr().out
    space = json.loads((root / layout.SPACE).read_text())
    assert space["batch"] == {"classes": 6, "images": 4}


def test_a_device_that_is_not_there_is_told(root):
    import torch

    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(ParamsError, match=f"train.device is {absent}"):
        train.run(root, params(device=absent))


def test_the_start_of_a_training_says_what_learns_on_what(root, capsys):
    train.run(root, params())
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("training "))
    assert re.fullmatch(
        r"training \w+ \([\d,]+ parameters\) from scratch by prototypical loss on 6 classes, on cpu", first
    )
