"""`kshot tasks` on a small trained project: its own tasks, a source's, the page, and one line for every bad input."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from kshot import cli
from kshot.errors import DataError, NotConverged
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import evaluate, train
from kshot.lifecycle.tasks import task_model
from kshot.lifecycle.tasks.disagreement import disagreement
from kshot.lifecycle.tasks.page import PAGE, write_task_page
from kshot.lifecycle.tasks.survey import survey, write_json
from kshot.lifecycle.tasks.task_model import WIDEST, narrowed
from kshot.lifecycle.tasks.task_row import TaskRow, Trust
from kshot.lifecycle.tasks.text import render_survey
from kshot.params.schema import Params, params_from
from kshot.statistics import Interval
from kshot.tasks.difficulty import Difficulty
from tests.lifecycle import packed_project
from tests.lifecycle.page_loads import loads
from tests.lifecycle.raw_project import files_below
from tests.short_names import set_train

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def a_machine_with_a_gpu():
    """Where the project's settings say cpu: whatever asks for the GPU that is not there fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kshot.nets.devices.present", lambda: ["cuda", "cpu"])
        yield


def make(root: Path, **changes: object) -> Path:
    """A tiny project after its stages train and evaluate, with these changes of the section train."""
    packed_project.write(root)
    mapping = yaml.safe_load(packed_project.params((REPOSITORY / "params.yaml").read_text()))
    set_train(mapping, device="cpu", **changes)
    (root / "params.yaml").write_text(yaml.safe_dump(mapping))
    shutil.copy(REPOSITORY / "dvc.yaml", root)
    train.run(root, params_of(root))
    evaluate.run(root, params_of(root))
    return root


def params_of(root: Path) -> Params:
    return params_from(yaml.safe_load((root / "params.yaml").read_text()))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("trained"))


def write_group(root: Path, folder: Path, group: str, mode: str = "L", most: int = 8) -> Path:
    """The packed images of a group as files, dark on light again: folder/<class>/<n>.png."""
    images, manifest = read_images(root), read_manifest(root)
    for name, rows in manifest[manifest["group"] == group].groupby("class").indices.items():
        place = folder / str(name).rpartition("/")[2]
        place.mkdir(parents=True)
        positions = manifest.index[manifest["group"] == group][rows]
        for number, row in enumerate(positions[:most]):
            Image.fromarray(255 - images[row][:, :, 0]).convert(mode).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def own(root):
    """The project's own tasks."""
    return survey(root, params_of(root), shots=2)


def test_the_projects_groups_are_tasks_and_only_unseen_ones_are_measured(own):
    found = own
    rows = {row.name: row for row in found.rows}
    assert {name: row.split for name, row in rows.items()} == packed_project.GROUPS
    assert rows["Ελληνικά"].measured is None and rows["Ελληνικά"].limit is None
    for name in ("two words", "c"):
        assert 0.3 < rows[name].measured <= 1 and rows[name].limit > 0
    assert all(row.classes == 6 and row.images == 12 and row.shots == 2 for row in found.rows)
    assert all(0 < row.predicted < 1 and row.outlyingness > 0 for row in found.rows)
    assert [name for name, _ in rows["c"].nearest] != [] and "c" not in dict(rows["c"].nearest)


def test_predictions_are_held_against_the_accuracies_of_stage_evaluate(root, own):
    trust = {one.protocol: one for one in own.trust}
    metrics = json.loads((root / layout.METRICS).read_text())
    assert set(trust) == {"3w1s", "3w2s"}
    for name, one in trust.items():
        assert one.episodes == 20
        assert one.measured == pytest.approx(metrics["accuracy"][name]["mean"], abs=1e-6)
        assert 0 < one.predicted < 1
        # Where all episodes are answered alike there is no order to compare with.
        assert math.isnan(one.correlation.mean) or -1 <= one.correlation.mean <= 1


def test_a_source_is_nearest_to_the_task_that_it_is_a_copy_of_and_nothing_is_added(root, own, tmp_path):
    before = files_below(root / "data")
    source = write_group(root, tmp_path / "copy", "c")
    found = survey(root, params_of(root), str(source), shots=2)
    new, *known = found.rows
    assert (new.name, new.split, new.classes, new.images, new.shots) == ("copy", "new", 6, 48, 8)
    assert new.nearest[0] == ("c", 0.0) and found.notes == ()
    assert new.measured is None and new.outlyingness == pytest.approx(known[-1].outlyingness, rel=0.5)
    assert [row.name for row in known] == list(packed_project.GROUPS)
    # What the source is does not move the project's own tasks.
    assert known == list(own.rows)
    assert files_below(root / "data") == before


def test_groups_of_a_source_are_tasks_of_their_own(root, tmp_path):
    write_group(root, tmp_path / "s" / "one", "c")
    write_group(root, tmp_path / "s" / "two", "two words", most=3)
    (tmp_path / "s" / "three" / "x").mkdir(parents=True)
    shutil.copy(tmp_path / "s" / "one" / "a" / "0.png", tmp_path / "s" / "three" / "x")
    found = survey(root, params_of(root), str(tmp_path / "s"))
    new = {row.name: row for row in found.rows if row.split == "new"}
    assert set(new) == {"one", "two"} and new["two"].shots == 3
    assert found.notes == ("1 groups of one class are left out, such as 'three'",)


def test_images_of_another_kind_are_adapted_and_it_is_said(root, tmp_path):
    colour = survey(root, params_of(root), str(write_group(root, tmp_path / "colour" / "x", "c", mode="RGB")))
    assert "48 of 48 images are in colour; the model takes grey ones" in colour.notes[0]
    # The same images in grey are those of the project.
    assert colour.rows[0].nearest[0] == ("c", 0.0)


def test_a_source_of_another_world_is_warned_of(root, tmp_path):
    source = write_group(root, tmp_path / "inverted", "c")
    for file in source.rglob("*.png"):
        with Image.open(file) as image:
            pixels = 255 - np.asarray(image)
        Image.fromarray((pixels.astype(int) // 8).astype(np.uint8)).save(file)
    found = survey(root, params_of(root), str(source))
    assert found.rows[0].is_outlier
    told = render_survey(found)
    assert "warning: inverted lies outside what the model was trained for" in told
    assert "95 % of validation tasks stay below" in told


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda folder: [shutil.rmtree(folder / name) for name in "bcdef"],
            "has one class, 'a'; a task needs at least 2",
        ),
        (lambda folder: [file.unlink() for file in (folder / "b").iterdir()], "class 'b' has no image"),
        (
            lambda folder: [file.write_text("no") for file in (folder / "b").iterdir()],
            "class 'b' has no image that can be read",
        ),
        (shutil.rmtree, "does not exist; needs a folder"),
    ],
)
def test_a_source_that_is_no_task_is_refused_by_one_line(root, tmp_path, monkeypatch, capsys, spoil, told):
    source = write_group(root, tmp_path / "bad", "c")
    spoil(source)
    monkeypatch.chdir(root)
    assert cli.main(["tasks", str(source)]) == 3
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_some_unreadable_files_are_told_and_left_out(root, tmp_path):
    source = write_group(root, tmp_path / "torn", "c")
    (source / "b" / "0.png").write_bytes(b"")
    found = survey(root, params_of(root), str(source))
    assert found.rows[0].images == 47
    assert found.notes[0] == "1 of 48 files is left out, such as b/0.png: an empty file"


def test_the_command_prints_writes_the_page_and_the_json(root, tmp_path, monkeypatch, capsys):
    source = write_group(root, tmp_path / "letters", "c", most=1)
    monkeypatch.chdir(root)
    assert cli.main(["tasks", str(source), "--json", str(tmp_path / "out" / "tasks.json")]) == 0
    out = capsys.readouterr().out
    assert "letters" in out and "c, 0.00" in out and "reports/tasks.html" in out
    assert "rank correlation" in out
    content = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert content["rows"][0]["name"] == "letters" and content["rows"][0]["shots"] == 1
    assert content["rows"][0]["is_outlier"] in (True, False) and content["accept"] == 0.95
    page = (root / PAGE).read_text()
    assert page.count("<svg") > 1 and "letters" in page and "prefers-color-scheme: dark" in page
    assert loads(page) == []


def test_too_few_shots_are_refused(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert cli.main(["tasks", "--shots", "0"]) == 2
    assert "--shots is 0; needs at least 1" in capsys.readouterr().err


def test_names_on_the_page_are_escaped(root, tmp_path):
    source = write_group(root, tmp_path / "<b>&", "c", most=2)
    found = survey(root, params_of(root), str(source))
    page = write_task_page(found, tmp_path / "tasks.html").read_text()
    assert "<b>&" not in page and "&lt;b&gt;&amp;" in page


def test_a_model_that_knows_the_validation_classes_sets_no_limit_and_says_so(tmp_path):
    root = make(tmp_path / "p", splits=["train", "val"], patience=0)
    found = survey(root, params_of(root))
    assert not found.calibrated and all(row.limit is None and not row.is_outlier for row in found.rows)
    assert [row.measured is None for row in found.rows] == [True, True, False]
    assert "trained on the validation classes" in render_survey(found)


@pytest.mark.parametrize("weights", [[-9.0, 0.0], None], ids=["far off", "not converged"])
def test_predictions_that_validation_contradicts_are_not_given_and_the_reason_is(root, tmp_path, monkeypatch, weights):
    def fit(found, measured):
        if weights is None:
            raise NotConverged("the fit has not converged")
        return Difficulty(*(torch.tensor([*weights, *[0.0] * more], dtype=torch.float64) for more in (0, 1)))

    monkeypatch.setattr(task_model, "fit_difficulty", fit)
    found = survey(root, params_of(root), shots=2)
    assert {row.predicted for row in found.rows} == {None} and {one.predicted for one in found.trust} == {None}
    assert found.calibrated and any(row.limit for row in found.rows), "what lies outside is known all the same"
    reason = "validation tasks of 1 image a class the predictions are 0.0 % and the measured ones "
    assert (reason if weights else "has not converged") in found.doubt
    assert f"note: no accuracy is predicted: {found.doubt}" in render_survey(found)
    assert "no accuracy is predicted" in write_task_page(found, tmp_path / "tasks.html").read_text()
    write_json(found, tmp_path / "tasks.json")
    content = json.loads((tmp_path / "tasks.json").read_text())
    assert content["rows"][0]["predicted"] is None and content["trust"][0]["correlation"]["mean"] is None
    assert content["doubt"] == found.doubt


def known_row(name, predicted, measured):
    place = {"nearest": (), "outlyingness": 0.5, "limit": 1.0, "x": 0.0, "y": 0.0}
    return TaskRow(name, "test", 2, 20, 5.0, predicted, measured, **place)


def test_predictions_that_the_test_episodes_contradict_are_not_given():
    trust = Trust("10w1s", 200, 0.827, 0.764, Interval(0.1, 0.0, 0.2))
    reason = "over 200 test episodes of 10w1s the predictions are 82.7 % and the measured ones 76.4 % on average"
    assert disagreement([], [trust]).startswith(reason)
    assert disagreement([], [replace(trust, predicted=0.80)]) == ""


def test_predictions_that_the_projects_own_tasks_contradict_are_not_given():
    rows = [known_row("Apple", 0.9, 0.96), known_row("Pear", 0.94, 0.73), known_row("Fruit", 0.93, 0.9)]
    assert "over 3 tasks that" in disagreement(rows, []) and "10.0 points" in disagreement(rows, [])
    assert "most for Pear" in disagreement(rows, [])
    assert disagreement(rows[:2], []) == "", "two small tasks may differ by chance"
    assert disagreement([*rows[::2], known_row("Melon", 0.9, None), known_row("Nut", 0.9, 0.9)], []) == ""


def test_predictions_that_hold_on_validation_are_given(own):
    assert own.doubt == ""
    assert all(row.predicted is not None for row in own.rows)


def test_without_groups_sets_of_classes_are_the_tasks(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "copy")
    path = copy / layout.SPLIT / "classes.parquet"
    pd.read_parquet(path).assign(group="").to_parquet(path, index=False)
    rows = survey(copy, params_of(copy)).rows
    assert {row.split for row in rows} == {"train", "val", "test"}
    assert sum(row.name.startswith("test classes") for row in rows) == 2 and all(row.classes == 3 for row in rows)


def test_a_method_without_a_space_says_so(tmp_path, monkeypatch, capsys):
    root = make(tmp_path / "p", method="reptile", method_arguments={"steps": 2, "test_steps": 2}, n_way=3)
    monkeypatch.chdir(root)
    capsys.readouterr()
    assert cli.main(["tasks"]) == 1
    error = capsys.readouterr().err
    assert "reptile, which adapts the network to each task" in error and error.count("\n") == 1


def test_without_packed_images_or_a_trained_model_the_remedy_is_named(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "copy")
    shutil.rmtree(copy / layout.PACKED)
    with pytest.raises(DataError, match="packed images, data/packed, are not here.*`kshot retrain`"):
        survey(copy, params_of(copy))
    shutil.rmtree(copy / layout.MODEL)
    with pytest.raises(DataError, match="no trained and evaluated model yet.*`kshot retrain`"):
        survey(copy, params_of(copy))


@pytest.mark.parametrize("offset", [0, 1e3])
def test_wide_spaces_keep_their_distances_about(offset):
    points = torch.randn(50, 3000, generator=torch.Generator().manual_seed(0)) + offset
    narrow = narrowed(points)
    assert torch.allclose(torch.pdist(narrow), torch.pdist(narrowed(points - offset)), rtol=1e-3)
    assert narrow.shape == (50, WIDEST)
    ratio = torch.pdist(narrow) / torch.pdist(points)
    assert ratio.min() > 0.8 and ratio.max() < 1.2
    assert narrowed(narrow) is narrow
