"""A person's decisions in a real registry: approval, rejection, rollback, crashes, rivals, aliases moved by hand."""

import json
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from kshot.errors import RegistryError
from kshot.lifecycle.history import append_event, champions, event_chain, events, history, history_run
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.registry import (
    acts,
    catch_up,
    gate_decision,
    model_versions,
    person_decision,
    promotion,
    registered_files,
)
from kshot.lifecycle.tracking import store
from tests import ready_process
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement
from tests.lifecycle.registry.interrupted_writes import crash_after

RULES = "rules"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registered_versions.write(tmp_path_factory.mktemp("template"))


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Iterator[Path]:
    """Four versions, nobody has decided."""
    return registered_versions.copy(template, tmp_path / "project")


def gate(root: Path, version: str, promote: bool = True, hours: float | None = None) -> Event:
    """What the gate does at the end of a retraining; it waits for a person where `hours` are given."""
    champion = model_versions.champion(root)
    record = judgement(promote, champion.version if champion else None)
    until = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
    return gate_decision.record_decision(root, version, record, RULES, until)[0]


def tags(root: Path, version: str) -> dict[str, str]:
    return model_versions.find(root, version).tags


def is_decided(root: Path, version: str, rules: str = RULES, manual: bool = True) -> bool:
    return gate_decision.is_decided(model_versions.find(root, version), model_versions.champion(root), rules, manual)


def fits(root: Path) -> bool:
    return event_chain.verify(history.history(root), history.aliases(root)) == []


def test_the_gates_own_decisions_are_events_with_their_evidence(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", promote=False)
    first, second = history.history(root)
    assert (first.action, first.before, first.after) == ("promoted", {}, {"champion": "1"})
    assert (second.action, second.after) == ("refused", {"champion": "1", "challenger": "2"})
    assert (second.compared_with, second.rules, second.who.name, second.why) == (
        "1",
        RULES,
        "gate",
        "it is so | and so",
    )
    assert second.proof is not None
    kept = mlflow.artifacts.load_text(f"runs:/{second.proof.run_id}/{second.proof.file}")
    record = json.loads(kept)
    assert record.pop("about")["lineage"] == "lineage2" and record == judgement(False, "1")
    assert fits(root)


def test_a_promotion_that_waits_leaves_the_champion_and_says_so(root: Path) -> None:
    gate(root, "1")
    event = gate(root, "2", hours=48)
    assert history.aliases(root) == {"champion": "1", "challenger": "2"}
    found = tags(root, "2")
    assert found["kshot.decision"] == "waiting"
    assert found["kshot.approval"] == f"waiting for approval until {events.minute(event.until)}"
    assert is_decided(root, "2")  # a second retraining does not ask again
    assert not is_decided(root, "2", manual=False)  # but decides, once approval is automatic
    assert not is_decided(root, "2", "other rules")


def test_an_approval_promotes_and_keeps_who_and_on_which_evidence(root: Path) -> None:
    gate(root, "1")
    asked = gate(root, "2", hours=48)
    event = promotion.approve(root, "challenger", by="Ada  Lovelace", reason="looks good")
    assert history.aliases(root) == {"champion": "2"}
    assert event.who == events.person("Ada Lovelace") and event.why == "looks good"
    assert event.proof == asked.proof and event.compared_with == "1"
    assert tags(root, "2")["kshot.decision"] == "promoted" and tags(root, "2")["kshot.reasons"] == "it is so | and so"
    assert tags(root, "1")["kshot.replaced_by"] == "2"
    assert is_decided(root, "2") and fits(root)


def test_a_rejected_version_is_no_challenger_and_is_never_asked_about_again(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", hours=48)
    promotion.reject(root, "2", "too slow", "Ada")
    assert history.aliases(root) == {"champion": "1"}
    assert is_decided(root, "2", "other rules", manual=False)
    with pytest.raises(RegistryError, match="version 2 does not wait for approval, its decision is: rejected"):
        promotion.approve(root, "2")


def test_what_nobody_answers_in_time_is_rejected_by_whoever_comes_next(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", hours=-1)
    with pytest.raises(RegistryError, match=r"version 2 is rejected: nobody answered until \d{4}-.*UTC"):
        promotion.approve(root, "2")
    (said,) = catch_up.catch_up(root)
    assert said.startswith("version 2 is rejected: nobody answered until")
    assert catch_up.catch_up(root) == ()
    assert history.aliases(root) == {"champion": "1"}
    assert is_decided(root, "2") and not is_decided(root, "2", "other rules")
    assert history.history(root)[-1].action == "expired" and fits(root)


def test_a_champion_by_hand_stays_champion_when_nobody_answers_in_time(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", hours=-1)
    client = store.client()
    client.set_registered_model_alias("kshot", "champion", "2")
    catch_up.catch_up(root)
    assert history.aliases(root)["champion"] == "2" and fits(root)


def test_approval_refuses_where_another_champion_came(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", hours=48)
    gate(root, "3")
    with pytest.raises(RegistryError, match="version 2 was compared with champion 1, and now there is champion 3; run"):
        promotion.approve(root, "2")
    assert not is_decided(root, "2")  # so that the next retraining judges it again
    assert history.aliases(root)["champion"] == "3"


def test_the_gate_refuses_evidence_against_another_champion(root: Path) -> None:
    gate(root, "1")
    gate(root, "2")
    with pytest.raises(RegistryError, match="version 3 was compared with champion 1, and now there is champion 2"):
        gate_decision.record_decision(root, "3", judgement(True, "1"), RULES)
    assert history.aliases(root) == {"champion": "2"}


def test_a_person_may_promote_what_the_gate_refused_and_the_gate_does_not_undo_it(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", promote=False)
    event = promotion.promote(root, "2", "needed now", "Ada")
    assert event.action == "promoted by hand" and history.aliases(root) == {"champion": "2"}
    assert is_decided(root, "2") and is_decided(root, "1")
    gate(root, "3")
    assert not is_decided(root, "1")  # another champion than the one that the person chose


def test_a_rollback_goes_back_and_what_was_left_does_not_return(root: Path) -> None:
    for version in "123":
        gate(root, version)
    promotion.rollback(root, "false accepts", by="Ada")
    assert history.aliases(root) == {"champion": "2"}
    assert tags(root, "3")["kshot.decision"] == "rolled back"
    assert is_decided(root, "3", "other rules", manual=False)
    promotion.rollback(root, "still")
    assert history.aliases(root) == {"champion": "1"}
    with pytest.raises(RegistryError, match="version 1 is the first champion, so there is none to go back to"):
        promotion.rollback(root, "again")
    promotion.rollback(root, "it was not the model", to="3")
    assert history.aliases(root) == {"champion": "3"} and fits(root)
    assert champions.champion_at(history.history(root), datetime.now(UTC)) == "3"


def test_rolling_back_to_what_never_was_champion_is_told(root: Path) -> None:
    gate(root, "1")
    gate(root, "2")
    with pytest.raises(RegistryError, match=r"version 4 never was champion \(champions before were 1\); `"):
        promotion.rollback(root, "why not", to="4")
    with pytest.raises(RegistryError, match="version 2 is the champion already"):
        promotion.rollback(root, "why not", to="champion")


def test_rolling_back_without_any_champion_is_told(root: Path) -> None:
    with pytest.raises(RegistryError, match="there is no champion, so there is none to go back to"):
        promotion.rollback(root, "why not")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("9", r"there is no version '9'; the nearest are 2, 3, 4"),
        ("0", r"the nearest are 1, 2, 3"),
        ("champoin", r"did you mean champion \(version 1\)\?"),
        ("latest", r"there are versions 1 to 4 and champion \(version 1\)"),
        ("", r"there are versions 1 to 4"),
        ("²", r"there are versions 1 to 4"),
    ],
)
def test_an_unknown_version_is_told_with_the_nearest(root: Path, name: str, told: str) -> None:
    gate(root, "1")
    for decide in (promotion.promote, promotion.reject):
        with pytest.raises(RegistryError, match=told):
            decide(root, name, "why")


@pytest.mark.parametrize(("reason", "told"), [(" \n", "the reason is empty; say"), ("x" * 1001, "1,001 characters")])
def test_a_reason_must_say_something_and_fit(root: Path, reason: str, told: str) -> None:
    gate(root, "1")
    for decide in (promotion.promote, promotion.reject):
        with pytest.raises(RegistryError, match=told):
            decide(root, "2", reason)
    with pytest.raises(RegistryError, match=told):
        promotion.rollback(root, reason)
    assert len(history.history(root)) == 1


def test_the_longest_reason_and_name_fit_into_an_event(root: Path) -> None:
    event = promotion.promote(root, "1", '"\\' * 500, "ü" * 100)
    assert history.history(root)[-1] == event and event.why == '"\\' * 500
    gate(root, "2")
    record = judgement(False, "2", "\N{SNOWMAN}\n" * 9000)
    gate_decision.record_decision(root, "3", record, RULES)
    assert len(events.to_text(history.history(root)[-1])) <= append_event.LONGEST and fits(root)


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_version_whose_run_did_not_end_well_is_not_promoted(root: Path, status: str) -> None:
    gate(root, "1")
    gate(root, "2", hours=1)
    store.client().set_terminated(model_versions.find(root, "2").run_id, status)
    for decide in (promotion.promote, promotion.approve):
        with pytest.raises(RegistryError, match=f"of version 2 is {status.lower()}, so its record may"):
            decide(root, "2", "why")
    assert history.aliases(root)["champion"] == "1"


def test_a_version_whose_model_is_gone_is_not_promoted(root: Path, tmp_path: Path) -> None:
    gate(root, "1")
    version = registered_versions.add(tmp_path / "more", store.client(), 5)
    with closing(sqlite3.connect(root / "mlruns/mlflow.db")) as database:
        database.execute(
            "update model_versions set source = ?, storage_location = null where version = ?", (str(tmp_path / "no"), 5)
        )
        database.commit()
    with pytest.raises(RegistryError, match="the artifacts of version 5 .* are gone from"):
        promotion.promote(root, version, "why")
    assert history.aliases(root) == {"champion": "1"}


def test_a_server_that_ends_while_a_model_is_read_is_not_taken_for_a_lost_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registered_versions.add(tmp_path / "more", store.client(), 5)

    def ended(*_args: Any, **_names: Any) -> Any:
        monkeypatch.setattr(MlflowClient, "get_model_version", ended)
        raise MlflowException("API request to http://127.0.0.1:9 failed with exception: Connection refused")

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", ended)
    monkeypatch.setattr(store, "connect", lambda _root: "http://127.0.0.1:9")
    with pytest.raises(store.Unreachable, match="http://127.0.0.1:9 did not answer"):
        registered_files.fetched(root, version, tmp_path / "copy")


def test_the_champion_is_neither_promoted_nor_rejected(root: Path) -> None:
    gate(root, "1")
    with pytest.raises(RegistryError, match="version 1 is the champion already"):
        promotion.promote(root, "1", "why")
    with pytest.raises(RegistryError, match="version 1 is the champion and cannot be rejected; go back with"):
        promotion.reject(root, "champion", "why")


def test_approving_what_does_not_wait_names_what_does(root: Path) -> None:
    gate(root, "1")
    gate(root, "2", hours=1)
    with pytest.raises(RegistryError, match=r"version 3 does not wait .* nobody has decided about it \(waiting: 2\)"):
        promotion.approve(root, "3")


def test_an_alias_moved_by_hand_shows_and_becomes_an_event(root: Path) -> None:
    gate(root, "1")
    gate(root, "2")
    store.client().set_registered_model_alias("kshot", "champion", "1")
    assert event_chain.verify(history.history(root), history.aliases(root)) == [
        "alias champion was moved from version 2 to version 1, outside kshot"
    ]
    assert catch_up.catch_up(root) == (
        "alias champion was moved from version 2 to version 1, outside kshot; recorded as event 3",
    )
    last = history.history(root)[-1]
    assert (last.action, last.before, last.after) == ("moved outside kshot", {"champion": "2"}, {"champion": "1"})
    assert fits(root) and history.aliases(root) == {"champion": "1"}


def test_an_edit_in_the_database_names_the_event(root: Path) -> None:
    for version in "123":
        gate(root, version)
    with closing(sqlite3.connect(root / "mlruns/mlflow.db")) as database:
        database.execute("update params set value = replace(value, 'it is so', 'it was so') where key = 'event.000002'")
        database.commit()
    (found,) = event_chain.verify(history.history(root), history.aliases(root))
    assert found.startswith("event 2 is not as it was written")


def test_no_call_of_mlflow_changes_an_event(root: Path) -> None:
    event = gate(root, "1")
    run_id = store.client().get_registered_model("kshot").tags[history_run.RUN]
    with pytest.raises(mlflow.MlflowException, match="Changing param values is not allowed"):
        store.client().log_param(run_id, "event.000001", "{}")
    assert history.history(root) == [event]


def restored(root: Path, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command at the end of a message: its words as a shell takes them, `mlflow` in this process."""
    from mlflow.cli import cli as mlflow_program  # imports MLflow's server

    words = shlex.split(advice.split(": ")[-1])
    mlflow.set_tracking_uri(None)  # a new process knows no other than that of the command
    with monkeypatch.context() as patch:
        while "=" in words[0]:
            patch.setenv(*words.pop(0).split("=", 1))
        assert words.pop(0) == "mlflow"
        mlflow_program.main(words, standalone_mode=False)
    store.connect(root)


def test_a_history_that_was_deleted_comes_back_by_the_command_that_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate(root, "1")
    run_id = store.client().get_registered_model("kshot").tags[history_run.RUN]
    store.client().delete_run(run_id)
    with pytest.raises(RegistryError, match=f"was deleted; bring it back with: .* --run-id {run_id}") as of_run:
        history.history(root)
    restored(root, str(of_run.value), monkeypatch)
    store.client().delete_experiment(store.client().get_run(run_id).info.experiment_id)
    with pytest.raises(RegistryError, match="experiment 'kshot promotions', which stores .* was deleted") as of_all:
        promotion.promote(root, "2", "needed now")
    restored(root, str(of_all.value), monkeypatch)
    assert [event.version for event in history.history(root)] == ["1"] and fits(root)


def test_a_deleted_experiment_of_the_runs_is_told_with_the_way_back(root: Path) -> None:
    where = store.connect(root)
    experiment = store.client().get_experiment_by_name("kshot")
    assert experiment is not None
    store.client().delete_experiment(experiment.experiment_id)
    restore = f"MLFLOW_TRACKING_URI={where} mlflow experiments restore --experiment-id {experiment.experiment_id}"
    said = f"was deleted in MLflow; bring it back with: {restore}"
    with pytest.raises(RegistryError, match=said), store.translated_errors(where):
        store.client().create_run(experiment.experiment_id)


def test_a_history_whose_tag_was_removed_is_found_again(root: Path) -> None:
    gate(root, "1")
    store.client().delete_registered_model_tag("kshot", history_run.RUN)
    gate(root, "2")
    assert [event.version for event in history.history(root)] == ["1", "2"] and fits(root)


WRITES = ("log_param", "set_registered_model_alias", "delete_registered_model_alias", "set_model_version_tag")


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 7, 8])
def test_a_crash_between_two_writes_leaves_old_or_new_and_the_next_one_heals_and_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    gate(root, "1")
    gate(root, "2", hours=1)
    with monkeypatch.context() as patch:
        crash_after(patch, writes, WRITES)
        with pytest.raises(KeyboardInterrupt):
            promotion.approve(root, "2", by="Ada")
    champion = history.aliases(root)["champion"]
    said = catch_up.catch_up(root)
    if writes == 0:
        assert champion == "1" and said == () and len(history.history(root)) == 2
        promotion.approve(root, "2", by="Ada")
    else:
        assert champion == ("1" if writes == 1 else "2")
        assert len(said) == 1 and "version 2 approved by Ada" in said[0] and said[0].endswith("is now")
    assert history.aliases(root) == {"champion": "2"} and tags(root, "2")["kshot.decision"] == "promoted"
    assert tags(root, "1")["kshot.replaced_by"] == "2" and fits(root) and catch_up.catch_up(root) == ()


def test_an_unfinished_event_of_another_machine_is_waited_for_and_then_finished(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate(root, "1")
    elsewhere = events.Person("Grace", "grace", "another-machine")
    with monkeypatch.context() as patch:
        patch.setattr(person_decision, "person", lambda name="": elsewhere)
        crash_after(patch, 1, WRITES)
        with pytest.raises(KeyboardInterrupt):
            promotion.promote(root, "2", "why")
    monkeypatch.setattr(events, "PATIENCE_S", 3.0)
    (said,) = catch_up.catch_up(root)
    age = datetime.now(UTC) - datetime.fromisoformat(history.history(root)[-1].when)
    assert "by Grace (grace@another-machine)" in said and age > timedelta(seconds=3)
    assert history.aliases(root) == {"champion": "2"}


def rival(channel: Connection, root: Path, version: str, name: str) -> None:
    """Look, wait for the word, and write: both look before either writes, as machines do that share no lock."""
    store.connect(root)
    seen = history.read(store.client(), root)
    channel.send("ready")
    channel.recv()
    who, after = events.person(name), {"champion": version}
    try:
        new = append_event.NewEvent("promoted by hand", version, after, who, "rivals")
        append_event.append(root, store.client(), seen, new)
        channel.send("won")
    except append_event.Overtaken as error:
        channel.send(f"told: {error}")


def test_of_two_machines_that_promote_at_once_one_wins_and_the_other_is_told(root: Path) -> None:
    gate(root, "1")
    channels = []
    for version, name in (("2", "Ada"), ("3", "Grace")):
        ours, theirs = ready_process.CONTEXT.Pipe()
        channels.append(ours)
        ready_process.start(rival, theirs, root, version, name)
        theirs.close()  # so that the end of the process ends the wait
    assert [channel.recv() for channel in channels] == ["ready", "ready"]
    for channel in channels:
        channel.send("go")
    said = sorted(channel.recv() for channel in channels)
    assert said[1] == "won"
    assert "another decision was recorded first (event 2 (version" in said[0] and "nothing was changed" in said[0]
    found = history.history(root)
    assert len(found) == 2 and history.aliases(root) == found[-1].after and fits(root)


def test_nothing_to_catch_up_with_writes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate(root, "1")
    crash_after(monkeypatch, 0, WRITES)
    assert catch_up.catch_up(root) == ()


def test_a_registry_without_models_has_no_history(tmp_path: Path) -> None:
    assert history.history(tmp_path) == [] and catch_up.catch_up(tmp_path) == ()
    with pytest.raises(RegistryError, match="no model is registered yet"):
        promotion.promote(tmp_path, "1", "why")
    with pytest.raises(RegistryError, match="no model is registered yet"):
        promotion.rollback(tmp_path, "why")


def killed_rollback(root: Path, writes: int) -> None:
    """A rollback in a process that ends without a word once it has written so often, to MLflow and of the act."""
    left = writes

    def counted(write: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(9)
            left -= 1
            return write(*arguments, **named)

        return wrapped

    for name in ("log_param", "set_registered_model_alias", "set_model_version_tag"):
        setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
    acts.end = counted(acts.end)
    promotion.rollback(root, "not in the field", by="Ada")


@pytest.mark.parametrize("writes", [0, 1, 6, -2, -1])
def test_a_rollback_that_was_killed_and_is_repeated_goes_back_once(root: Path, writes: int) -> None:
    for version in ("1", "2", "3"):
        gate(root, version)
    before = len(history.history(root))
    if writes < 0:  # counted from the end: before the last write to MLflow is done, and before the act is forgotten
        writes += 13
    assert ready_process.ended(ready_process.start(killed_rollback, root, writes)) == 9
    catch_up.catch_up(root)
    event = promotion.rollback(root, "not in the field", by="Ada")
    assert len(history.history(root)) == before + 1 and event == history.history(root)[-1]
    assert history.aliases(root)["champion"] == "2" and fits(root)
    # A second one that is meant goes one further back.
    promotion.rollback(root, "not in the field", by="Ada")
    assert history.aliases(root)["champion"] == "1" and len(history.history(root)) == before + 2


@pytest.mark.parametrize("writes", [1, 2, 5])
def test_each_decision_that_was_cut_off_is_one_event_when_it_is_repeated(
    root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    gate(root, "1")
    gate(root, "2", hours=1)
    decisions = (
        lambda: promotion.approve(root, "challenger", by="Ada"),
        lambda: promotion.reject(root, "3", "too slow", "Ada"),
        lambda: promotion.promote(root, "4", "needed now", "Ada"),
    )
    for number, decide in enumerate(decisions, 3):
        with monkeypatch.context() as patch:
            crash_after(patch, writes, WRITES)
            with pytest.raises(KeyboardInterrupt):
                decide()
        assert decide().number == number == len(history.history(root))
    assert history.aliases(root)["champion"] == "4" and fits(root)


def test_another_reason_or_person_is_another_decision(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2", "3"):
        gate(root, version)
    with monkeypatch.context() as patch:
        crash_after(patch, 1, WRITES)
        with pytest.raises(KeyboardInterrupt):
            promotion.rollback(root, "not in the field", by="Ada")
    promotion.rollback(root, "not in the field", by="Grace")
    assert history.aliases(root) == {"champion": "1"} and len(history.history(root)) == 5


def test_a_clock_set_back_is_recorded_and_the_times_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=2)

    first = gate(root, "1")
    monkeypatch.setattr(append_event, "datetime", Behind)
    second = gate(root, "2")
    assert second.when > first.when and second.clock < first.when and fits(root)
    assert champions.champion_at(history.history(root), datetime.fromisoformat(second.when)) == "2"


def test_a_deleted_model_is_told_and_its_history_goes_on_with_new_numbers(root: Path) -> None:
    gate(root, "1")
    gate(root, "2")
    store.client().delete_registered_model("kshot")
    assert [event.version for event in history.history(root)] == ["1", "2"]
    assert "was deleted in MLflow" in history.record(root).trouble
    with pytest.raises(RegistryError, match="was deleted in MLflow, and its versions with it"):
        promotion.promote(root, "1", "why")
    (said,) = catch_up.catch_up(root)
    assert said.startswith("the registered model kshot was deleted; alias champion was taken away from version 2")
    assert catch_up.catch_up(root) == () and fits(root)
    history_run.begin(store.client(), root, store.connect(root))
    history_run.require_new_numbers(store.client(), root, history.history(root))
    version = registered_versions.add(root, store.client(), 5)
    assert int(version) > 2
    gate(root, version)
    assert [event.action for event in history.history(root)] == [
        "promoted",
        "promoted",
        events.MOVED_OUTSIDE,
        "promoted",
    ]
    assert history.aliases(root) == {"champion": version} and fits(root)


def test_a_renamed_model_gets_its_name_back(root: Path) -> None:
    gate(root, "1")
    store.client().rename_registered_model("kshot", "ours")
    assert "was renamed to ours" in history.record(root).trouble
    (said,) = catch_up.catch_up(root)
    assert "had been renamed to ours" in said
    assert history.aliases(root) == {"champion": "1"} and fits(root)
    promotion.promote(root, "2", "needed now", "Ada")
