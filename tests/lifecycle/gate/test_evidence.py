"""Champion and challenger in a real registry: the comparisons, and the message for an incomplete champion."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from kshot.data.images import decode, prepare
from kshot.errors import DataError, RegistryError
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.gate import decision_record, evidence, gate_rules, gate_text
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import registered_files, registration
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.stages.evaluation.predictions import predict
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import Lineage, lineage
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.schema import Params, load_params
from kshot.params.sections.ingest import recorded_ingest
from kshot.statistics import mean_interval, paired_difference
from tests.lifecycle import finished_project, packed_project
from tests.lifecycle.packed_project import PROTOTYPE

STORED = 0.25  # what the champion's run says of every episode: no model answers so evenly
INGEST = {"size": packed_project.SIZE, "channels": 1, "invert": True}  # as before `crop` was known: today's is "none"
OTHER = {**INGEST, "crop": "ink"}


class Project(NamedTuple):
    root: Path
    champion: Registered  # of today's data
    other: Registered  # prepared otherwise, and trained on classes that are in the test split today
    today: Lineage
    params: Params


def save_model(folder: Path, seed: int, ingest: dict[str, Any], trained_on: list[str]) -> Path:
    torch.manual_seed(seed)
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    save_embedding(Embedding(settings_of({**settings, "ingest": ingest, "trained_on": trained_on})), folder)
    path = folder / "embedding.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ingest": ingest}))  # as the kshot of its time wrote it
    return folder


def write_results(folder: Path, episodes: pd.DataFrame, cells: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    episodes.to_parquet(folder / "episodes.parquet", index=False)
    cells.to_parquet(folder / "cells.parquet", index=False)


def register(root: Path, folder: Path) -> Registered:
    """Register root/model, with the results in `folder` kept in its run."""
    store.connect(root)
    client, experiment = mlflow.MlflowClient(), mlflow.get_experiment_by_name("kshot")
    run_id = client.create_run(experiment.experiment_id).info.run_id
    client.log_artifacts(run_id, str(folder), "evaluation")
    return registration.register(root, run_id, lineage(root))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = finished_project.write(tmp_path_factory.mktemp("project"))
    for path, pixels in zip(read_manifest(root)["path"], read_images(root), strict=True):
        file = root / layout.RAW / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - pixels[:, :, 0]).save(file)
    scratch = tmp_path_factory.mktemp("results")
    tested = [name for name in packed_project.CLASSES if name.startswith("c/")]
    found = []
    for number, (ingest, names) in enumerate([(INGEST, ["a", "b"]), (OTHER, ["a", *tested[:2]])]):
        finished_project.write_lock(root, steps=number)
        model = save_model(root / layout.MODEL, number, ingest, names)
        answers = predict(root, model, PROTOTYPE, other_images(root) if ingest == OTHER else None)
        write_results(scratch, answers.episodes.assign(accuracy=STORED), answers.cells.assign(right=0))
        found.append(register(root, scratch))
    finished_project.write_lock(root, steps=2)
    today = save_model(root / layout.MODEL, 2, {**INGEST, "crop": "none"}, [])
    answers = predict(root, today, PROTOTYPE)
    write_results(root / layout.EVALUATION, answers.episodes, answers.cells)
    return Project(root, *found, lineage(root), load_params(root / "params.yaml"))


def other_images(root: Path) -> Path:
    """The images as OTHER prepares them, one after the other."""
    shown = recorded_ingest({"ingest": OTHER})
    files = [root / layout.RAW / path for path in read_manifest(root)["path"]]
    path = root / "other.npy"
    np.save(path, np.stack([prepare(decode(file, shown.channels), shown) for file in files]))
    return path


def gather(*asked: Any) -> gate_rules.Evidence:
    return evidence.gather(*asked).evidence


def ours(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.root / layout.EVALUATION / "episodes.parquet")


def cells(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.root / layout.EVALUATION / "cells.parquet")


def model_of(project: Project, which: Registered, folder: Path) -> Path:
    return registered_files.model_files(project.root, which.version, folder)


def assert_paired(project: Project, gathered: gate_rules.Evidence, theirs: pd.DataFrame, place: int = 0) -> None:
    """Each protocol's interval is that of the differences, episode by episode."""
    difference = gathered.comparisons[place].difference
    assert set(difference) == {"3w1s", "3w2s"}
    for name, found in difference.items():
        one, other = [
            table[table["protocol"] == name].set_index("episode")["accuracy"].sort_index()
            for table in (ours(project), theirs)
        ]
        assert found == pytest.approx(paired_difference(one, other))


def test_the_first_model_is_compared_with_nobody(project: Project):
    found = gather(project.root, None, project.today, project.params)
    table = ours(project)
    expected = {name: mean_interval(table["accuracy"][table["protocol"] == name]) for name in ("3w1s", "3w2s")}
    assert found == gate_rules.Evidence(accuracy=expected)


def test_answers_to_the_same_episodes_of_the_same_data_are_taken_from_the_champions_run(project: Project):
    found, fresh = evidence.gather(project.root, project.champion, project.today, project.params)
    assert found.champion == project.champion.version and fresh == {}
    (comparison,) = found.comparisons
    assert (comparison.version, comparison.role) == (project.champion.version, gate_rules.CHAMPION)
    assert_paired(project, found, ours(project).assign(accuracy=STORED))
    assert [(change.name, change.old, change.protocol) for change in comparison.groups] == [("c", 0.0, "3w1s")]
    assert {change.name for change in comparison.classes} == set(cells(project)["class"])


@pytest.mark.parametrize("changed", ["data_version", "episodes_hash"])
def test_the_champion_answers_again_where_data_or_episodes_changed(project: Project, changed: str, tmp_path: Path):
    today = dataclasses.replace(project.today, **{changed: "another"})
    found, fresh = evidence.gather(project.root, project.champion, today, project.params)
    answers = predict(project.root, model_of(project, project.champion, tmp_path), PROTOTYPE)
    assert_paired(project, found, answers.episodes)
    # No run holds these predictions, so that they are handed on to be kept.
    (kept,) = fresh.values()
    assert kept.episodes.equals(answers.episodes) and kept.cells.equals(answers.cells)


def test_a_champion_is_shown_the_images_as_it_was_trained_on_them(project: Project, tmp_path: Path):
    today = dataclasses.replace(project.today, data_version="another")
    found = gather(project.root, project.other, today, project.params)
    model = model_of(project, project.other, tmp_path)
    assert_paired(project, found, predict(project.root, model, PROTOTYPE, other_images(project.root)).episodes)


def test_a_champion_of_before_images_were_cropped_is_shown_todays_as_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    def again(*_: object) -> None:
        raise AssertionError("the images were prepared again")

    monkeypatch.setattr(evidence, "pack", again)
    today = dataclasses.replace(project.today, data_version="another")
    assert gather(project.root, project.champion, today, project.params).comparisons
    with pytest.raises(AssertionError, match="prepared again"):
        gather(project.root, project.other, today, project.params)


def test_an_image_that_cannot_be_prepared_for_the_champion_stops_the_comparison(project: Project):
    file = project.root / layout.RAW / read_manifest(project.root)["path"].iloc[5]
    kept = file.read_bytes()
    file.write_bytes(kept[:40])
    try:
        with pytest.raises(DataError, match="5.png: .*the same images: bring it back with `dvc checkout"):
            gather(
                project.root, project.other, dataclasses.replace(project.today, data_version="another"), project.params
            )
    finally:
        file.write_bytes(kept)


def test_groups_and_classes_are_paired_on_the_group_protocol(project: Project) -> None:
    rules = dataclasses.replace(project.params.gate, group_protocol="3w2s")
    found = gather(project.root, project.champion, project.today, dataclasses.replace(project.params, gate=rules))
    table = cells(project)
    table = table[table["protocol"] == "3w2s"]
    (group,) = found.comparisons[0].groups
    assert group.new == pytest.approx(table["right"].sum() / table["queries"].sum())
    assert group.difference.mean == pytest.approx(group.new) and group.episodes == 20


def test_the_reference_is_compared_with_beside_the_champion(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def chosen(tags: dict[str, Any], *_: object) -> dict[str, str]:
        asked.append(sorted(tags))
        return {"3w1s": project.other.version, "3w2s": project.champion.version}

    champions = [project.champion.version, project.other.version]
    monkeypatch.setattr(evidence.reference, "champions", lambda events: champions)
    monkeypatch.setattr(evidence.reference, "best", chosen)
    found = gather(project.root, project.champion, project.today, project.params)
    assert asked == [champions]
    assert [(one.version, one.role, list(one.difference)) for one in found.comparisons] == [
        (project.champion.version, gate_rules.CHAMPION, ["3w1s", "3w2s"]),
        (project.other.version, gate_rules.BEST, ["3w1s"]),
    ]


def test_a_champion_that_was_deleted_is_told_among_the_reasons(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence.reference, "champions", lambda events: [project.champion.version, "7"])
    found = gather(project.root, project.champion, project.today, project.params)
    note = "version 7, champion before, was deleted in MLflow and not compared with"
    assert found.notes[0] == note
    said = gate_text.reasons(found, gate_rules.decide(found, project.params.gate).findings)
    assert note in said and "no champion to compare with" not in said
    without = gather(project.root, None, project.today, project.params)
    said = gate_text.reasons(without, gate_rules.decide(without, project.params.gate).findings)
    assert note in said and "no champion to compare with" in said


def test_a_version_that_a_person_fixed_is_compared_with_on_every_protocol(project: Project) -> None:
    rules = dataclasses.replace(project.params.gate, reference=int(project.other.version))
    params = dataclasses.replace(project.params, gate=rules)
    found = gather(project.root, project.champion, project.today, params)
    assert [(one.version, one.role) for one in found.comparisons] == [
        ("1", gate_rules.CHAMPION),
        ("2", gate_rules.FIXED),
    ]
    assert_paired(project, found, ours(project).assign(accuracy=STORED), place=1)
    only = gather(project.root, project.other, project.today, params)
    assert [(one.version, one.role) for one in only.comparisons] == [("2", gate_rules.CHAMPION)]


def test_a_champion_that_knew_todays_test_classes_is_told_with_their_number(project: Project):
    found = gather(project.root, project.other, project.today, project.params)
    note = "champion 2 was trained on 2 of today's test classes, which flatters it (such as 'c/a')"
    assert found.notes == (note,)


def test_a_champion_that_knew_none_of_them_is_not_accused(project: Project):
    assert gather(project.root, project.champion, project.today, project.params).notes == ()


def test_the_recorded_evidence_gives_the_same_decision_again(project: Project):
    found = gather(project.root, project.other, project.today, project.params)
    decision = gate_rules.decide(found, project.params.gate)
    again, rules, kept = decision_record.from_json(
        json.loads(json.dumps(decision_record.to_json(found, project.params.gate, decision)))
    )
    assert (again, kept) == (found, decision)
    assert gate_rules.decide(again, rules) == decision


@pytest.mark.parametrize("what", ["gone", "cut", "fewer"])
def test_results_that_the_champions_run_lost_are_answered_again(project: Project, what: str, tmp_path: Path):
    path = artifacts(project, project.champion) / "episodes.parquet"
    kept = path.read_bytes()
    if what == "gone":
        path.unlink()
    elif what == "cut":
        path.write_bytes(kept[:100])
    else:
        pd.read_parquet(path).head(30).to_parquet(path)
    try:
        found = gather(project.root, project.champion, project.today, project.params)
    finally:
        path.write_bytes(kept)
    assert_paired(
        project, found, predict(project.root, model_of(project, project.champion, tmp_path), PROTOTYPE).episodes
    )


def artifacts(project: Project, which: Registered) -> Path:
    address = mlflow.MlflowClient().get_run(which.run_id).info.artifact_uri
    return Path(address.removeprefix("file://")) / "evaluation"


@pytest.mark.parametrize("what", ["gone", "cut"])
def test_a_champion_that_is_not_whole_is_told_with_the_remedy_and_nothing_changes(project: Project, what: str):
    store.connect(project.root)
    model = next((project.root / layout.MLRUNS).rglob("embedding.safetensors"))
    version = version_of(project, model)
    kept = model.read_bytes()
    if what == "gone":
        model.unlink()
    else:
        model.write_bytes(kept[:1000])
    before = versions()
    try:
        with pytest.raises(RegistryError) as raised:
            gather(project.root, version, project.today, project.params)
    finally:
        model.write_bytes(kept)
    told = str(raised.value)
    assert told.startswith(f"champion {version.version} cannot be compared with: ")
    assert told.endswith("bring its artifacts back, or `kshot rollback` to an intact version")
    assert "\n" not in told
    assert versions() == before


def version_of(project: Project, weights: Path) -> Registered:
    ingest = json.loads(weights.with_name("embedding.json").read_text())["ingest"]
    return project.champion if ingest == INGEST else project.other


def versions() -> list[tuple[str, dict[str, str], list[str]]]:
    found = mlflow.MlflowClient().search_model_versions("name='kshot'")
    return [(one.version, dict(one.tags), list(one.aliases)) for one in found]
