"""Prune deletes exactly what it listed, and nothing that a past or present champion was trained on."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot import cli
from kshot.errors import Busy, RegistryError
from kshot.lifecycle.audit.links.origin import weights
from kshot.lifecycle.audit.subject import opened
from kshot.lifecycle.data import data_names, data_versions, dvc_cache
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.history import history_run
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.pipeline.schedule_changes import Changes, changed
from kshot.lifecycle.project import layout, project_lock
from kshot.lifecycle.project.broken import NotRecorded
from kshot.lifecycle.prune import kept, proposal
from kshot.lifecycle.prune.proposal import delete, propose
from kshot.lifecycle.registry import catch_up, gate_decision, model_versions, registration
from kshot.lifecycle.tracking import lineage, store
from kshot.params import project_name
from tests.lifecycle import audited_project, raw_project
from tests.lifecycle.put_back import put_back
from tests.lifecycle.registered_versions import judgement

CACHE = Path(".dvc/cache/files/md5")
ON = {1: 0, 2: 1, 3: 2, 4: 0}  # version to data version; 1 was champion, 3 is, 2 and 4 were refused, 4 is challenger


def keep(root: Path, text: bytes, suffix: str = "") -> str:
    """Put an object into DVC's cache."""
    oid = hashlib.md5(text).hexdigest() + suffix
    path = root / CACHE / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return oid


def keep_folder(root: Path, files: dict[str, bytes]) -> str:
    entries = [{"md5": keep(root, text), "relpath": name} for name, text in sorted(files.items())]
    return keep(root, json.dumps(entries, sort_keys=True).encode(), kept.FOLDER)


def locked(root: Path, number: int, data: str) -> bytes:
    """A dvc.lock whose stages wrote a model of that version's own and episodes that all have."""
    model = keep_folder(root, {"embedding.json": b"{}", "embedding.safetensors": b"weights %d" % number})
    outs = [("data/episodes", keep_folder(root, {"test-5w1s.npz": b"episodes"})), ("model", model)]
    stage = {
        "cmd": "python -m kshot",
        "deps": [
            {"path": "data/raw", "hash": "md5", "md5": f"{data}.dir", "size": 1, "nfiles": 1},
            {"path": "src/kshot/data/images.py", "hash": "md5", "md5": "c" * 32, "size": 1},
        ],
        "outs": [{"path": path, "hash": "md5", "md5": md5, "size": 1, "nfiles": 1} for path, md5 in outs],
    }
    return yaml.safe_dump({"schema": "2.0", "stages": {"train": stage}}).encode()


def registered(root: Path, number: int, data: str, scratch: Path) -> None:
    """Register a version with a run that keeps its dvc.lock, and a model in MLflow."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = store.client()
    experiment = client.get_experiment_by_name(project_name.of(root))
    assert experiment is not None
    run = client.create_run(experiment.experiment_id)
    text = locked(root, number, data)
    (scratch / "dvc.lock").write_bytes(text)
    client.log_artifact(run.info.run_id, str(scratch / "dvc.lock"))
    client.set_terminated(run.info.run_id)
    model = client.create_logged_model(experiment.experiment_id, name="model", source_run_id=run.info.run_id)
    files = scratch / f"model{number}/artifacts/embedding"
    files.mkdir(parents=True)
    (files / "embedding.safetensors").write_bytes(b"weights %d" % number)
    get_artifact_repository(model.artifact_location).log_artifacts(str(files.parents[1]))
    tags = {
        "kshot.lineage": f"lineage{number}",
        "kshot.data_version": data,
        "kshot.dvc_lock_hash": hashlib.sha256(text).hexdigest()[:16],
    }
    client.create_model_version(project_name.of(root), f"models:/{model.model_id}", run.info.run_id, tags=tags)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three data versions that share images, four versions of the model, and an output that nobody names."""
    folder = tmp_path_factory.mktemp("pruned")
    root = raw_project.make(folder / "project")
    for name, classes in (("one", {"a": 2, "b": 2}), ("two", {"a": 3, "b": 2}), ("three", {"b": 2, "c": 2})):
        add_version.add(root, str(raw_project.write_tree(folder / name, classes)))
    data = [version.md5 for version in data_versions.versions(root)]
    where = store.connect(root)
    history_run.begin(store.client(), root, where)
    for number, place in ON.items():
        registered(root, number, data[place], folder)
    for version, promote, champion in (("1", True, None), ("2", False, "1"), ("3", True, "1"), ("4", False, "3")):
        gate_decision.record_decision(root, version, judgement(promote, champion), "r")
    keep(root, b"an output of a stage that was run by hand")
    git(root, "add", ".")
    git(root, "commit", "-qm", "three")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    with put_back(made / "data", audited_project.copies(made) / "data"), audited_project.undone(made, tmp_path):
        yield made


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def objects(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in (root / CACHE).rglob("*") if path.is_file()}


def listed(found: proposal.Proposal) -> set[str]:
    return {name for item in found.items if item.weights is None for name in item.files}


def of_champions(root: Path) -> set[str]:
    """Every object that the versions 1 and 3 were made from or wrote, found without what is under test."""
    found: set[str] = set()
    for number, place in ON.items():
        if number not in (1, 3):
            continue
        lock_file = yaml.safe_load(locked(root, number, data_versions.versions(root)[place].md5))["stages"]["train"]
        for oid in (entry["md5"] for entry in (*lock_file["deps"], *lock_file["outs"])):
            if oid.endswith(".dir"):
                found |= {oid, *(entry["md5"] for entry in dvc_cache.listing(root, oid))}
    return {(CACHE / oid[:2] / oid[2:]).as_posix() for oid in found}


def model_files(root: Path) -> dict[str, bytes]:
    return raw_project.files_below(root / "mlruns/artifacts/models")


def test_what_no_kept_version_needs_is_listed_once_with_its_bytes(root: Path) -> None:
    two = data_versions.versions(root)[1]
    found = propose(root)
    assert [item.what.split(" (")[0] for item in found.items] == [
        f"data version {two.short}",
        "what the stages of version 2 wrote",
        "other outputs of stages",
        "model files of version 2",
    ]
    data, outputs, rest, model = found.items
    assert len(data.files) == 3 and data.files[-1].endswith(".dir")  # a/2.png, the manifest, the listing
    assert data.why == "only version 2 was trained on it" and outputs.why == "refused, never champion"
    assert len(outputs.files) == 2 and rest.size == len(b"an output of a stage that was run by hand")
    assert model.size == len(b"weights 2") and model.files == ("artifacts/embedding/embedding.safetensors",)
    assert all(item.size == sum((root / name).stat().st_size for name in item.files) for item in found.items[:3])
    assert found.kept == {"1": "a champion once", "3": "the champion", "4": "the challenger"}
    assert not listed(found) & of_champions(root)


def test_what_is_deleted_is_what_was_listed_and_the_champions_data_comes_back(root: Path) -> None:
    one, _, three = data_versions.versions(root)
    before, models, found = objects(root), model_files(root), propose(root)
    needs = of_champions(root)
    delete(root, found)
    assert before - objects(root) == listed(found) and needs <= objects(root)
    gone = {name: text for name, text in models.items() if name not in model_files(root)}
    assert list(gone.values()) == [b"weights 2"]
    assert propose(root).items == ()
    restore.checkout(root, one)
    assert len(raw_project.files_below(root / layout.RAW)) == 5
    restore.checkout(root, three)


def test_a_version_whose_files_were_pruned_says_so_and_is_no_result_to_come_back_to(root: Path, tmp_path: Path) -> None:
    delete(root, propose(root))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(NotRecorded, match=r"the model's files were pruned, \d{4}-"):
        weights(opened(root, "2", tmp_path / "scratch"))
    origin = lineage.Lineage("lineage2", "", lineage.Code("", False), "", "", "", "")
    assert registration.find_registered(root, origin) is None


def test_a_named_data_version_stays(root: Path) -> None:
    data_names.give(root, "season-2", data_versions.versions(root)[1].md5)
    assert not [item for item in propose(root).items if item.what.startswith("data version")]


@pytest.mark.parametrize("by", ["the schedule", "a waiting retraining"])
def test_a_data_version_that_a_retraining_will_need_stays(root: Path, by: str) -> None:
    unneeded = [item for item in propose(root).items if item.what.startswith("data version")]
    md5 = data_versions.versions(root)[1].md5
    if by == "the schedule":
        schedule.write(root, changed(None, Changes(every="6h", data=md5[:8])))
    else:
        new_data.write(root, new_data.Seen("", (new_data.Version(md5),)))
    try:
        assert unneeded and not [item for item in propose(root).items if item.what.startswith("data version")]
    finally:
        for file in (schedule.FILE, new_data.FILE):
            (root / file).unlink(missing_ok=True)


def test_versions_that_a_person_chose_stay(root: Path) -> None:
    assert "2" not in propose(root).kept
    store.client().set_registered_model_alias(project_name.of(root), "staging", "2")
    assert propose(root).kept["2"] == "alias staging"
    store.client().delete_registered_model_alias(project_name.of(root), "staging")
    before = (root / "params.yaml").read_bytes()
    content = yaml.safe_load(before)
    content["gate"] = {**content.get("gate", {}), "reference": 2}
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    try:
        assert propose(root).kept["2"] == "gate.reference"
    finally:
        (root / "params.yaml").write_bytes(before)


def test_a_data_version_that_a_branch_or_a_tag_names_stays(root: Path) -> None:
    restore.checkout(root, data_versions.versions(root)[1])
    git(root, "commit", "-qam", "two")
    git(root, "tag", "second")
    git(root, "reset", "-q", "--soft", "HEAD~1")
    restore.checkout(root, data_versions.versions(root)[2])
    try:
        assert not [item for item in propose(root).items if item.what.startswith("data version")]
    finally:
        git(root, "tag", "-d", "second")
        git(root, "reset", "-q")
    assert [item for item in propose(root).items if item.what.startswith("data version")]


def test_an_output_whose_listing_was_erased_hinders_nothing(root: Path) -> None:
    """`kshot forget` deletes the listing of packed images, which dvc.lock and branches still name."""
    before = listed(propose(root))
    pixels = hashlib.md5(b"pixels").hexdigest()
    packed = keep_folder(root, {"images.npy": b"pixels"})
    lock = {"schema": "2.0", "stages": {"ingest": {"cmd": "x", "outs": [{"path": "data/packed", "md5": packed}]}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    try:
        assert listed(propose(root)) == before
        (root / CACHE / packed[:2] / packed[2:]).unlink()
        assert listed(propose(root)) == {*before, (CACHE / pixels[:2] / pixels[2:]).as_posix()}
    finally:
        (root / "dvc.lock").unlink()


def test_data_that_a_tag_names_and_whose_listing_is_gone_is_named(root: Path) -> None:
    second = data_versions.versions(root)[1]
    restore.checkout(root, second)
    git(root, "commit", "-qam", "two")
    git(root, "tag", "second")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    try:
        oid = f"{second.md5}.dir"
        (root / CACHE / oid[:2] / oid[2:]).unlink()
        with pytest.raises(RegistryError, match=f"data version {second.short}, which git's second names"):
            propose(root)
    finally:
        git(root, "tag", "-d", "second")


@pytest.mark.parametrize("commits", [True, False])
def test_the_data_that_is_there_now_stays_whether_anything_is_committed_or_not(tmp_path: Path, commits: bool) -> None:
    root = raw_project.make(tmp_path / "project")
    for name, images in (("one", 2), ("two", 3)):
        add_version.add(root, str(raw_project.write_tree(tmp_path / name, {"a": images, "b": 2})))
        if commits and name == "one":
            git(root, "add", ".")
            git(root, "commit", "-qm", "one")
    found = propose(root)
    gone = [item.what.split(" (")[0] for item in found.items]
    one, two = data_versions.versions(root)
    assert gone == ([] if commits else [f"data version {one.short}"])
    delete(root, found)
    assert dvc_cache.locate(root, f"{two.md5}.dir", two.size, advance=lambda size: None).remote == 0


def moved_alias(root: Path) -> None:
    store.client().set_registered_model_alias("kshot", "champion", "2")


def changed_lock(root: Path) -> None:
    run_id = model_versions.find(root, "1").run_id
    path = root / "mlruns/artifacts" / run_id / "artifacts/dvc.lock"
    path.write_text(path.read_text() + "\n")


def lost_listing(root: Path) -> None:
    oid = f"{data_versions.versions(root)[0].md5}.dir"
    (root / CACHE / oid[:2] / oid[2:]).unlink()


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (moved_alias, "does not say which models were champion: alias champion was moved from version 3 to version 2"),
        (changed_lock, "it is not known what version 1, a champion once, was trained on"),
        (lost_listing, "the data of version [14] cannot be distinguished from the rest"),
    ],
)
def test_where_nobody_can_know_what_a_champion_needs_nothing_is_proposed(root: Path, plant: Any, told: str) -> None:
    store.connect(root)
    plant(root)
    with pytest.raises(RegistryError, match=told):
        propose(root)


def test_a_checkpoint_is_proposed_after_a_week(root: Path) -> None:
    for name, days in (("old", 8), ("young", 6)):
        path = root / proposal.CHECKPOINTS / name / "checkpoint.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"12345")
        os.utime(path, (time.time() - days * 86400,) * 2)
    try:
        found = [item for item in propose(root).items if item.what.startswith("checkpoint")]
        assert [(item.what, item.size, item.why) for item in found] == [
            ("checkpoint old", 5, "of a training that was stopped 8 days ago")
        ]
    finally:
        shutil.rmtree(root / proposal.CHECKPOINTS)


def test_a_cache_that_others_may_use_is_left_alone(root: Path, tmp_path: Path) -> None:
    config = root / ".dvc/config.local"
    config.write_text(f"[cache]\n    dir = {tmp_path / 'theirs'}\n")
    shutil.copytree(root / ".dvc/cache", tmp_path / "theirs")
    try:
        found = propose(root)
    finally:
        config.unlink()
    assert listed(found) == set() and "outside of the project" in found.note


def test_the_verb_deletes_with_yes_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    before = objects(root)
    assert cli.main(["prune"]) == 0
    told = capsys.readouterr().out
    assert "nothing was deleted; `kshot prune --yes` deletes it" in told and objects(root) == before
    assert "kept: version 1, a champion once; version 3, the champion; version 4, the challenger" in told
    assert cli.main(["prune", "--json"]) == 0 and objects(root) == before
    assert len(json.loads(capsys.readouterr().out)["items"]) == 4
    assert cli.main(["prune", "--yes"]) == 0 and "in all: deleted" in capsys.readouterr().out
    assert len(objects(root)) == len(before) - 6
    assert cli.main(["prune"]) == 0 and "nothing is there that no kept model needs" in capsys.readouterr().out


@pytest.mark.parametrize("lock", [project_lock.SCHEDULED, project_lock.SWEEP])
def test_it_is_refused_while_a_scheduled_retraining_or_a_sweep_goes_on(
    root: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # the lock lets the process that holds it in again
    with project_lock.hold(root, "another command", lock):
        monkeypatch.undo()
        monkeypatch.chdir(root)
        assert cli.main(["prune", "--yes"]) == Busy.exit_code


def test_champions_of_a_deleted_model_keep_what_they_were_made_from(root: Path) -> None:
    needs = of_champions(root)
    store.client().delete_registered_model("kshot")
    with pytest.raises(RegistryError, match="was deleted in MLflow.*; nothing is deleted before"):
        propose(root)
    catch_up.catch_up(root)
    found = propose(root)
    assert found.items and not listed(found) & needs
    assert list(found.kept.values()) == ["a champion once, registered no more"] * 2
    delete(root, found)
    assert needs <= objects(root)
