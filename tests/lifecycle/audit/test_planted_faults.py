"""Each small edit of a finished project is found by the link that it breaks, or is listed in `kshot audit --limits`."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kshot import cli, manifest
from kshot.errors import RegistryError
from kshot.lifecycle.audit import model
from kshot.lifecycle.audit.data import audit_data
from kshot.lifecycle.audit.limits import LIMITS
from kshot.lifecycle.audit.link import BROKEN, Link, checked
from kshot.lifecycle.audit.subject import opened
from kshot.lifecycle.history import anchor, events, history, history_run
from kshot.lifecycle.project import git
from kshot.lifecycle.registry import registered_files
from kshot.lifecycle.tracking import store
from tests.lifecycle.planted import Planter, planter


class Project(NamedTuple):
    """The project, where the parts of version 1 lie, and what plants a fault."""

    root: Path
    run_id: str
    run: Path  # its artifacts
    model: Path  # the model's
    cache: Path  # DVC's objects
    lock: str
    plant: Planter

    def file(self, pattern: str) -> Path:
        """The first file below the model that the pattern finds."""
        return sorted(self.model.glob(pattern))[0]

    def listing(self, output: str) -> Path:
        """The listing of a folder that a stage wrote, or of data/raw, in DVC's cache."""
        lines = self.lock[self.lock.index(f"path: {output}\n") :].splitlines()
        md5 = next(line.split()[1] for line in lines if line.strip().startswith("md5:"))
        return self.cache / md5[:2] / md5[2:]

    def objects(self, output: str) -> list[Path]:
        """What the listing names, in its order."""
        entries = json.loads(self.listing(output).read_text())
        return [self.cache / entry["md5"][:2] / entry["md5"][2:] for entry in entries]


@pytest.fixture
def project(made: Path) -> Iterator[Project]:
    store.connect(made)
    client = store.client()
    held = client.get_model_version("kshot", "1")
    artifacts = made / store.ARTIFACTS
    run = artifacts / held.run_id / "artifacts"
    place = artifacts / "models" / held.source.removeprefix("models:/") / "artifacts"
    with planter(made) as plant:
        cache = made / ".dvc/cache/files/md5"
        yield Project(made, held.run_id, run, place, cache, (run / "dvc.lock").read_text(), plant)


def look(root: Path, name: str, *, deep: bool = False) -> Link:
    """One link of version 1."""
    with tempfile.TemporaryDirectory() as scratch:
        return checked(name, model.checks(opened(root, "1", Path(scratch)), deep=deep)[name])


def tag(name: str, value: str) -> Callable[[Project], None]:
    """Another value of a tag of the version."""
    return lambda it: it.plant.sql(
        "update model_version_tags set value = ? where version = 1 and key = ?", value, f"kshot.{name}"
    )


def append(pattern: str) -> Callable[[Project], None]:
    """A line more in a file of the model."""
    return lambda it: it.plant.append(it.file(pattern))


def of_run(name: str, text: str = "\n") -> Callable[[Project], None]:
    """A line more in a file of the run."""
    return lambda it: it.plant.append(it.run / name, text)


def flip(pattern: str) -> Callable[[Project], None]:
    return lambda it: it.plant.flip(it.file(pattern))


def one_label(it: Project) -> None:
    it.plant.replace(it.model / "served_model.py", "names[place]", "names[0]")


def planted_bytecode(it: Project) -> None:
    guard = it.model / manifest.NO_BYTECODE
    it.plant.remove(guard)
    it.plant.add(guard / "served_model.cpython-311.pyc")


def moved_by_sql(table: str, column: str) -> Callable[[Project], None]:
    """The model is loaded from a copy that was edited."""

    def plant(it: Project) -> None:
        copy = it.plant.copy(it.model, it.root / "mlruns/elsewhere")
        it.plant.sql(f"update {table} set {column} = ?", copy.as_uri())

    return plant


def event(number: int = 1) -> str:
    return history.EVENT.format(number)


def edited_event(it: Project) -> None:
    it.plant.sql("update params set value = replace(value, 'gate', 'Eve') where key = ?", event())


def rewritten_history(it: Project) -> list[events.Event]:
    """Another person in the first event, and every hash after it computed again."""
    found: list[events.Event] = []
    for one in history.history(it.root):
        who = dataclasses.replace(one.who, name="Eve")
        forged = events.seal(dataclasses.replace(one, who=who, previous=found[-1].hash if found else ""))
        it.plant.sql("update params set value = ? where key = ?", events.to_text(forged), event(one.number))
        it.plant.sql("update params set value = ? where key = ?", forged.hash, history.DONE.format(one.number))
        found.append(forged)
    it.plant.sql(
        "update model_version_tags set value = ? where key = 'kshot.decided_by' and version = 1", str(found[-1].who)
    )
    return found


def removed_history(it: Project) -> None:
    it.plant.sql("delete from params where key like 'event.%'")


def another_history(it: Project) -> None:
    client = store.client()
    (experiment,) = it.plant.query("select experiment_id from experiments where name = ?", "kshot promotions")
    it.plant.sql("update experiments set last_update_time = last_update_time + 1")  # the copy is taken first
    run = client.create_run(str(experiment))
    it.plant.sql("update registered_model_tags set value = ? where key = ?", run.info.run_id, history_run.RUN)


def rewritten_with_its_anchor(it: Project) -> None:
    run_id = history.record(it.root).run_id
    ref = anchor.read(it.root, run_id).ref
    it.plant.ref(ref, "")
    anchor.keep(it.root, run_id, rewritten_history(it))


def tag_more(name: str, value: str) -> Callable[[Project], None]:
    """A tag that the version has not."""
    return lambda it: it.plant.sql(
        "insert into model_version_tags (key, value, name, version, workspace) select ?, ?, name, version, workspace "
        "from model_version_tags where version = 1 and key = 'kshot.lineage'",
        *(f"kshot.{name}", value),
    )


def alias_more(name: str) -> Callable[[Project], None]:
    return lambda it: it.plant.sql(
        "insert into registered_model_aliases (alias, version, name, workspace) "
        "select ?, version, name, workspace from registered_model_aliases where alias = 'champion'",
        name,
    )


def edited_as_if_pruned(it: Project) -> None:
    tag_more("pruned", "2026-01-01T00:00:00+00:00")(it)
    one_label(it)


def rewritten_behind_a_replacement(it: Project) -> None:
    """The anchor's ref is unchanged, also on a remote, but `git replace` puts another commit in its place."""
    run_id = history.record(it.root).run_id
    ref = anchor.read(it.root, run_id).ref
    before = git.text(it.root, "rev-parse", ref).strip()
    rewritten_with_its_anchor(it)
    forged = git.text(it.root, "rev-parse", ref).strip()
    it.plant.ref(ref, before)
    it.plant.ref(f"refs/replace/{before}", forged)


PARAMS = "update params set value = '999' where key = 'train.steps' and run_uuid = ?"
METRIC = "update latest_metrics set value = 0.999 where key = 'test/3w1s/accuracy'"
RUN_TAG = "update tags set value = 'another' where key = ? and run_uuid = ?"

FOUND: dict[str, tuple[str, Callable[[Project], None]]] = {
    # What is loaded when the model is served.
    "the served code answers one label": ("served", one_label),
    "a packaged module": ("served", append("code/kshot_*/nets/embedding.py")),
    "a packaged classifier": ("served", append("code/kshot_*/classifiers/prototype.py")),
    "a packaged module is gone": ("served", lambda it: it.plant.remove(it.file("code/kshot_*/distances.py"))),
    "a module more": ("served", lambda it: it.plant.add(it.model / "code/sitecustomize.py")),
    "compiled code before its source": ("served", planted_bytecode),
    "MLmodel": ("served", append("MLmodel")),
    "inference.json": ("served", append("artifacts/embedding/inference.json")),
    "requirements.txt": ("served", append("requirements.txt")),
    "python_env.yaml": ("served", append("python_env.yaml")),
    "conda.yaml": ("served", append("conda.yaml")),
    "the input example": ("served", append("input_example.json")),
    "the input example of the server": ("served", append("serving_input_example.json")),
    "the manifest": ("served", append(manifest.FILE)),
    "the manifest is gone": ("served", lambda it: it.plant.remove(it.model / manifest.FILE)),
    "the tag of the manifest": ("served", tag("manifest", "0" * 64)),
    "the tag of the manifest is gone": (
        "served",
        lambda it: it.plant.sql("delete from model_version_tags where key = 'kshot.manifest'"),
    ),
    "storage_location of the version": ("served", moved_by_sql("model_versions", "storage_location")),
    "the place of the logged model": ("served", moved_by_sql("logged_models", "artifact_location")),
    "the place of the experiment": (
        "served",
        lambda it: it.plant.sql("update experiments set artifact_location = ? where name = 'kshot'", "file:///tmp"),
    ),
    "the version names another model": (
        "served",
        lambda it: it.plant.sql("update model_versions set source = 'models:/m-another'"),
    ),
    "the model was logged by another run": (
        "served",
        lambda it: it.plant.sql("update logged_models set source_run_id = ?", history.record(it.root).run_id),
    ),
    "one bit of the weights": ("weights", flip("artifacts/embedding/embedding.safetensors")),
    "one bit of the weights, by the manifest": ("served", flip("artifacts/embedding/embedding.safetensors")),
    "one bit of the method's weights": ("weights", flip("artifacts/embedding/method.safetensors")),
    "the settings of the embedding": ("weights", append("artifacts/embedding/embedding.json")),
    # What the run keeps.
    "a package of the environment file": ("environment", lambda it: it.plant.replace(
        it.run / "environment.json", '"dvc":', '"dvcx":')),
    "the environment file is gone": ("environment", lambda it: it.plant.remove(it.run / "environment.json")),
    "dvc.yaml of the run": ("record", of_run("dvc.yaml")),
    "the training log": ("record", of_run("train.jsonl")),
    "the split": ("record", of_run("split/classes.parquet")),
    "a file of the run is gone": ("record", lambda it: it.plant.remove(it.run / "train.jsonl")),
    "raw.dvc of the run": ("data", lambda it: it.plant.replace(it.run / "raw.dvc", "md5: ", "md5: 0")),
    "space.json": ("accuracies", of_run("space.json")),
    "metrics.json": ("accuracies", of_run("metrics.json")),
    "the answered episodes": ("accuracies", lambda it: it.plant.flip(it.run / "evaluation/episodes.parquet")),
    "params.yaml of the run": ("params", lambda it: it.plant.replace(it.run / "params.yaml", "steps: 20", "steps: 99")),
    "the stored difference": ("code", of_run("uncommitted.diff", "x\n")),
    "the stored difference is gone": ("code", lambda it: it.plant.remove(it.run / "uncommitted.diff")),
    "dvc.lock of the run": ("run", lambda it: it.plant.replace(it.run / "dvc.lock", "nfiles: 145", "nfiles: 144")),
    "the run is deleted": (
        "run",
        lambda it: it.plant.sql("update runs set lifecycle_stage = 'deleted' where run_uuid = ?", it.run_id),
    ),
    "the run failed": (
        "run",
        lambda it: it.plant.sql("update runs set status = 'FAILED' where run_uuid = ?", it.run_id),
    ),
    "the run's lineage": ("run", lambda it: it.plant.sql(RUN_TAG, "kshot.lineage", it.run_id)),
    "the run's data version": ("run", lambda it: it.plant.sql(RUN_TAG, "kshot.data_version", it.run_id)),
    # What MLflow's tables say.
    "a param": ("params", lambda it: it.plant.sql(PARAMS, it.run_id)),
    "a metric": ("accuracies", lambda it: it.plant.sql(METRIC)),
    "the accuracies on the version": ("accuracies", tag("accuracy", '{"3w1s": [0.99, 0.98, 1.0]}')),
    "the lineage on the version": ("run", tag("lineage", "0" * 16)),
    "the data version on the version": ("data", tag("data_version", "0" * 32)),
    "the episodes on the version": ("episodes", tag("episodes_hash", "0" * 32)),
    "the hash of the params": ("params", tag("params_hash", "0" * 16)),
    "the commit": ("tags", tag("git_commit", "0" * 40)),
    "the device": ("tags", tag("device", "cuda")),
    # The data and the episodes.
    "an image is gone from the cache": ("data", lambda it: it.plant.remove(it.objects("data/raw")[3])),
    "an image of another size": ("data", lambda it: it.plant.append(it.objects("data/raw")[3], "x")),
    "the listing of the data": ("data", lambda it: it.plant.append(it.listing("data/raw"), " ")),
    "one bit of an episode": ("episodes", lambda it: it.plant.flip(it.objects("data/episodes")[1])),
    "episodes are gone from the cache": ("episodes", lambda it: it.plant.remove(it.objects("data/episodes")[1])),
    # The decision and the history.
    "the newest decision": ("decision", of_run("decision.json")),
    "the evidence": ("decision", lambda it: it.plant.append(next((it.run / "decisions").iterdir()), "\n")),
    "the decision on the version": ("tags", tag("decision", "refused")),
    "who decided": ("tags", tag("decided_by", "Eve (eve@host)")),
    "when it was decided": ("tags", tag("decided_at", "2020-01-01T00:00:00+00:00")),
    "why it was decided": ("tags", tag("reasons", "it is the best")),
    "the rules": ("tags", tag("rules_hash", "0" * 16)),
    "the event on the version": ("tags", tag("event", "7")),
    "an event": ("history", edited_event),
    "the alias": (
        "history",
        lambda it: it.plant.sql("update registered_model_aliases set alias = 'challenger' where alias = 'champion'"),
    ),
    "the whole history, hash by hash": ("anchor", lambda it: rewritten_history(it) and None),
    "the history is empty": ("anchor", removed_history),
    "the history is another run": ("anchor", another_history),
    # What MLflow's tables have too much, or no more.
    "a metric that was never measured": ("accuracies", lambda it: it.plant.sql(
        "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) select 'test/9w9s/accuracy', 1.0, "
        "timestamp, step, 0, run_uuid from latest_metrics where key = 'test/3w1s/accuracy'")),
    "a metric is no number": ("accuracies", lambda it: it.plant.sql(
        "update latest_metrics set is_nan = 1 where key = 'test/3w1s/accuracy'")),
    "a metric is gone": ("accuracies", lambda it: it.plant.sql(
        "delete from latest_metrics where key = 'test/3w1s/accuracy'")),
    "a param more": ("params", lambda it: it.plant.sql(
        "insert into params (key, value, run_uuid) values ('train.more', '1', ?)", it.run_id)),
    "a param is gone": ("params", lambda it: it.plant.sql(
        "delete from params where key = 'train.steps' and run_uuid = ?", it.run_id)),
    "a tag of kshot's more": ("tags", tag_more("best", "yes")),
    "the decision's tag is gone": ("tags", lambda it: it.plant.sql(
        "delete from model_version_tags where key = 'kshot.decision' and version = 1")),
    "an edited model that is tagged as pruned": ("served", edited_as_if_pruned),
    "the run's commit": ("run", lambda it: it.plant.sql(RUN_TAG, "kshot.git_commit", it.run_id)),
    "the run is in another experiment": ("served", lambda it: it.plant.sql(
        "update runs set experiment_id = 0 where run_uuid = ?", it.run_id)),
    "the logged model is deleted": ("served", lambda it: it.plant.sql(
        "update logged_models set lifecycle_stage = 'deleted'")),
    "the version names another run": ("run", lambda it: it.plant.sql(
        "update model_versions set run_id = ? where version = 1", history.record(it.root).run_id)),
    "an event too many": ("history", lambda it: it.plant.sql(
        "insert into params (key, value, run_uuid) select ?, value, run_uuid from params where key = ?",
        event(3), event())),
    "an event is not finished": ("history", lambda it: it.plant.sql(
        "delete from params where key = ?", history.DONE.format(1))),
    "an alias of kshot's more": ("history", alias_more("challenger")),
    "the anchor's commit is replaced": ("anchor", rewritten_behind_a_replacement),
}  # fmt: skip

UNSEEN: dict[str, tuple[str, Callable[[Project], None]]] = {
    "the report": ("later files", lambda it: it.plant.append(it.run / "report.html")),
    "a note in MLflow": (
        "notes",
        lambda it: it.plant.sql("update model_versions set description = 'the best' where version = 1"),
    ),
    "an alias that is not kshot's": ("notes", alias_more("production")),
    "the version's stage": (
        "notes", lambda it: it.plant.sql("update model_versions set current_stage = 'Archived' where version = 1")),
    "when the version was registered": (
        "clocks", lambda it: it.plant.sql("update model_versions set creation_time = 1000 where version = 1")),
    "when the run began": (
        "clocks", lambda it: it.plant.sql("update runs set start_time = 1000 where run_uuid = ?", it.run_id)),
    "a file more in the run": ("later files", lambda it: it.plant.add(it.run / "evaluation/more.csv")),
    "one bit of an image": ("by size", lambda it: it.plant.flip(it.objects("data/raw")[3])),
    "packed images in the cache": ("between", lambda it: it.plant.flip(it.objects("data/packed")[0])),
    "weights in the working folder": ("folder", lambda it: it.plant.flip(it.root / "model/embedding.safetensors")),
    "the ledger's source": ("source", lambda it: it.plant.replace(it.root / "data/versions.jsonl", ': "ima', ': "pho')),
    "database and refs together": ("unpushed", rewritten_with_its_anchor),
}  # fmt: skip


def test_the_table_has_at_least_fifty_faults_and_the_untouched_project_none(project: Project) -> None:
    assert len(FOUND) >= 50
    with tempfile.TemporaryDirectory() as scratch:
        subject = opened(project.root, "1", Path(scratch))
        links = [checked(name, check) for name, check in model.checks(subject, deep=True).items()]
    assert {link.name: link.says for link in links if link.state != "verified"} == {}
    assert {name for name, _ in FOUND.values()} <= {link.name for link in links}


@pytest.mark.parametrize("fault", FOUND)
def test_a_planted_fault_breaks_its_link(project: Project, fault: str) -> None:
    name, plant = FOUND[fault]
    plant(project)
    link = look(project.root, name)
    assert link.state == BROKEN, link


def test_files_that_the_stored_difference_left_out_are_named(project: Project) -> None:
    project.plant.add(project.run / "uncommitted.left_out", "secrets.yaml\n")
    assert look(project.root, "code").says.endswith("code files match; uncommitted and not stored: secrets.yaml")


def test_one_bit_of_an_image_breaks_the_data_when_it_is_hashed_again(project: Project) -> None:
    project.plant.flip(project.objects("data/raw")[3])
    assert look(project.root, "data", deep=True).state == BROKEN


def test_a_number_of_images_that_the_data_version_has_not_breaks_its_audit(project: Project) -> None:
    md5 = json.loads((project.root / "data/versions.jsonl").read_text().splitlines()[0])["md5"]
    assert audit_data(project.root, md5).failed == ()
    project.plant.replace(project.root / "data/versions.jsonl", '"images": 144', '"images": 999')
    (broken,) = audit_data(project.root, md5).failed
    assert (broken.name, broken.state, broken.recorded, broken.found) == ("data", BROKEN, "999", "144")


@pytest.mark.parametrize("fault", UNSEEN)
def test_what_an_audit_cannot_see_is_in_the_printed_list(project: Project, fault: str) -> None:
    limit, plant = UNSEEN[fault]
    plant(project)
    with tempfile.TemporaryDirectory() as scratch:
        subject = opened(project.root, "1", Path(scratch))
        links = [checked(name, check) for name, check in model.checks(subject).items()]
    assert [link for link in links if link.state == BROKEN] == [] and limit in LIMITS


def test_an_altered_model_is_not_promoted_compared_or_served_by_kshot(project: Project, tmp_path: Path) -> None:
    one_label(project)
    told = "the model of version 1 is not as it was registered: served_model.py was changed; nothing of it was run"
    with pytest.raises(RegistryError, match=told):
        registered_files.model_files(project.root, "1", tmp_path)
    with pytest.raises(RegistryError, match=told):
        registered_files.require_whole(project.root, "1")


def test_the_history_verb_names_the_first_event_that_git_anchors_otherwise(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    assert cli.main(["history"]) == 0
    rewritten_history(project)
    assert cli.main(["history"]) == 1
    assert "! event 1 (version 1 promoted) is not the one that git anchors" in capsys.readouterr().out


def test_the_anchor_says_what_the_remote_has(project: Project, tmp_path: Path) -> None:
    hub = tmp_path / "hub.git"
    git.run(tmp_path, "init", "-q", "--bare", str(hub))
    git.run(project.root, "remote", "add", "origin", str(hub))
    try:
        assert look(project.root, "anchor", deep=True).says.endswith("; remote origin anchors none of them")
        git.run(project.root, "push", "-q", "origin", "refs/kshot/history/*:refs/kshot/history/*")
        assert look(project.root, "anchor", deep=True).says.startswith("git and remote origin anchors 1 event")
    finally:
        git.run(project.root, "remote", "remove", "origin")


def test_an_event_that_a_kill_kept_from_git_is_no_tampering(project: Project) -> None:
    record = history.record(project.root)
    number = len(record.events) + 1
    forged = dataclasses.replace(record.events[-1], number=number, previous=record.events[-1].hash)
    project.plant.sql(
        "insert into params (key, value, run_uuid) values (?, ?, ?)",
        *(event(number), events.to_text(events.seal(forged)), record.run_id),
    )
    link = look(project.root, "anchor")
    assert link.state == "not checked" and f"git anchors {number - 1} of {number} events; those are as" in link.says
    assert "the last 1 not yet anchored, as after a kill" in link.says
