import json
import shutil
import sqlite3
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlparse

import mlflow
import pytest
from mlflow import MlflowClient

from kshot.errors import RegistryError
from kshot.lifecycle.data import erasures
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.history import erasure_event, history
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import catch_up, gate_decision, model_versions, registered_files, registration
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.tracking import live_run, own_database, store
from kshot.lifecycle.tracking.lineage import lineage
from tests import ready_process
from tests.lifecycle import finished_project
from tests.lifecycle.finished_project import write_lock
from tests.lifecycle.registered_versions import judgement
from tests.lifecycle.registry.interrupted_writes import crash_after


def register(said: Connection, root: Path, run_id: str) -> None:
    found = registration.register(root, run_id, lineage(root))
    said.send(f"{found.version} {found.is_new}")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Registered], list[str]]:
    """Three versions, the first by two processes at once. Returns the root, the versions and what the two said."""
    root = finished_project.write(tmp_path_factory.mktemp("project"))
    found = []
    said: list[str] = []
    for number in range(3):
        write_lock(root, steps=20 + number)
        with live_run.live_run(root) as live:
            run_id = live.open()
        if number == 0:
            assert registration.find_registered(root, lineage(root)) is None and model_versions.champion(root) is None
            channels = []
            for _ in range(2):
                ours, theirs = ready_process.CONTEXT.Pipe()
                ready_process.start(register, theirs, root, run_id)
                theirs.close()  # so that the end of the process ends the wait
                channels.append(ours)
            said = sorted(channel.recv() for channel in channels)
        found.append(registration.register(root, run_id, lineage(root)))
    with (
        closing(sqlite3.connect(root / store.DATABASE)) as now,
        closing(sqlite3.connect(root / "undecided.db")) as kept,
    ):
        now.backup(kept)
    return root, found, said


@pytest.fixture
def root(registered: tuple[Path, list[Registered], list[str]]) -> Path:
    """The project with three versions that nobody decided about."""
    root = registered[0]
    (root / own_database.REMEMBERED).unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(root / "undecided.db")) as kept,
        closing(sqlite3.connect(root / store.DATABASE)) as now,
    ):
        kept.backup(now)
    store.connect(root)
    return root


def version(root: Path, number: str) -> Registered:
    """The version as the registry has it now."""
    write_lock(root, steps=19 + int(number))
    found = registration.find_registered(root, lineage(root))
    assert found is not None and found.version == number
    return found


def aliases(root: Path) -> dict[str, str]:
    store.connect(root)
    return {name: str(number) for name, number in MlflowClient().get_registered_model("kshot").aliases.items()}


def test_two_processes_at_once_register_one_version(registered: tuple[Path, list[Registered], list[str]]) -> None:
    assert registered[2] == ["1 False", "1 True"]


def test_registering_again_finds_the_version_and_says_that_it_is_not_new(
    registered: tuple[Path, list[Registered], list[str]],
) -> None:
    _, versions, _ = registered
    assert [(one.version, one.is_new) for one in versions] == [("1", False), ("2", True), ("3", True)]


def test_an_erasure_from_before_the_first_decision_is_sealed_once_and_one_from_after_it_is_not(root: Path) -> None:
    first, later = (Erasure(key, "2026-01-01T00:00:00", "Ada", "so", ("0" * 32,), ("1" * 32,)) for key in "ab")
    try:
        erasures.note(root, first)
        for number in (40, 41):
            write_lock(root, steps=number)
            with live_run.live_run(root) as live:
                registration.register(root, live.open(), lineage(root))
            if number == 40:
                assert [erasure_event.digest_of(event) for event in history.history(root)] == [first.digest]
                gate_decision.record_decision(root, "4", judgement(True), "rules")
                erasures.note(root, later)
        assert [event.action for event in history.history(root)] == ["images erased", "promoted"]
    finally:
        (root / layout.ERASURES).unlink()


def test_a_version_bears_its_lineage_and_run(root: Path, registered: tuple[Path, list[Registered], list[str]]) -> None:
    found = version(root, "2")
    assert lineage(root).tags().items() <= found.tags.items()
    assert found.run_id == registered[1][1].run_id


def test_other_inputs_are_not_found(root: Path) -> None:
    write_lock(root, steps=77)
    assert registration.find_registered(root, lineage(root)) is None


def test_a_promotion_moves_the_alias_and_keeps_the_decision(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    now = model_versions.champion(root)
    assert now is not None and now.version == "1"
    assert gate_decision.is_decided(version(root, "1"), now, "rules")
    assert model_versions.decision_of(now) == ("promoted", ("it is so", "and so"))
    kept = json.loads(mlflow.artifacts.load_text(f"runs:/{now.run_id}/decision.json"))
    about = kept.pop("about")
    assert kept == judgement(True)
    assert about == {name: now.tags[f"kshot.{name}"] for name in gate_decision.ABOUT} and about["lineage"]


def test_the_only_version_is_not_called_the_nearest() -> None:
    assert model_versions._nearest("2", [1], {}) == "the only one is 1"


def test_the_old_champion_stays_findable(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "2", judgement(True, "1"), "rules")
    assert aliases(root) == {"champion": "2"}
    assert version(root, "1").tags["kshot.replaced_by"] == "2"
    assert version(root, "2").tags["kshot.compared_with"] == "1"


def test_a_refused_model_is_challenger_beside_the_champion(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "2", judgement(False, "1"), "rules")
    assert aliases(root) == {"champion": "1", "challenger": "2"}
    now = model_versions.champion(root)
    assert gate_decision.is_decided(version(root, "2"), now, "rules")
    assert model_versions.decision_of(version(root, "2"))[0] == "refused"


def test_a_challenger_that_is_promoted_is_challenger_no_longer(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(False), "strict")
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    assert aliases(root) == {"champion": "1"}


def test_other_rules_or_another_champion_ask_for_a_new_decision(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "2", judgement(False, "1"), "rules")
    assert not gate_decision.is_decided(version(root, "2"), model_versions.champion(root), "other rules")
    gate_decision.record_decision(root, "3", judgement(True, "1"), "rules")
    now = model_versions.champion(root)
    assert not gate_decision.is_decided(version(root, "2"), now, "rules")  # refused beside version 1
    assert not gate_decision.is_decided(version(root, "1"), now, "rules")  # replaced: it may come back by the rules
    assert gate_decision.is_decided(version(root, "3"), now, "other rules")  # a champion stays champion


def test_the_champion_that_is_refused_stays_champion(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "1", judgement(False, "1"), "strict")
    assert aliases(root) == {"champion": "1"}


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4, 9])
def test_a_crash_between_two_writes_leaves_old_or_new_and_the_next_call_heals(
    root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "2", judgement(False, "1"), "strict")
    with monkeypatch.context() as patch:
        crash_after(patch, writes, ("log_text", "log_param", "set_model_version_tag", "set_registered_model_alias"))
        with pytest.raises(KeyboardInterrupt):
            gate_decision.record_decision(root, "2", judgement(True, "1"), "rules")
    assert aliases(root)["champion"] == ("1" if writes <= 3 else "2")
    said = catch_up.catch_up(root)
    assert bool(said) == (writes > 2)  # two files of evidence come before the event, and nobody misses them
    now = model_versions.champion(root)
    if not gate_decision.is_decided(version(root, "2"), now, "rules"):
        gate_decision.record_decision(root, "2", judgement(True, "1"), "rules")
    assert aliases(root) == {"champion": "2"}
    assert gate_decision.is_decided(version(root, "2"), model_versions.champion(root), "rules")


def test_the_embedding_comes_back_as_it_was_registered(root: Path, tmp_path: Path) -> None:
    folder = registered_files.model_files(root, "1", tmp_path)
    for name in ("embedding.safetensors", "embedding.json"):
        assert (folder / name).read_bytes() == (root / "model" / name).read_bytes()


def test_artifacts_that_are_gone_are_told_in_one_line(root: Path, tmp_path: Path) -> None:
    uri = MlflowClient().get_model_version_download_uri("kshot", "3")
    model_id = uri.rstrip("/").rsplit("/", 1)[-1]
    model = MlflowClient().get_logged_model(model_id) if model_id.startswith("m-") else None
    place = Path(urlparse(model.artifact_location if model else uri).path)
    assert place.is_dir() and place.is_relative_to(root / "mlruns/artifacts")
    shutil.rmtree(place)
    with pytest.raises(RegistryError, match=r"the artifacts of version 3 \(run \w+\) are gone") as caught:
        registered_files.model_files(root, "3", tmp_path)
    assert "\n" not in str(caught.value)
