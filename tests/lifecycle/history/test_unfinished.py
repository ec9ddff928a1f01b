"""An event that another client of MLflow began is finished only if kshot would have written it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.history import events, history
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.registry import catch_up, gate_decision
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion, and the gate refused version 2."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"))
    gate_decision.record_decision(root, "1", judgement(True), "rules")
    gate_decision.record_decision(root, "2", judgement(False, "1"), "rules")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return registered_versions.copy(template, tmp_path / "project")


def begin(root: Path, change: Callable[[Event], Event]) -> None:
    """Write an event after the last one as any client can, and leave the rest to the next command of kshot."""
    record = history.record(root)
    assert record.last is not None
    made = dataclasses.replace(
        record.last,
        number=3,
        action=events.PROMOTED_BY_HAND,
        before=record.aliases,
        after={"champion": "2"},
        previous=record.last.hash,
        process=2**22 + 1,  # no process has this number
        signature="",
    )
    store.client().log_param(record.run_id, "event.000003", events.to_text(change(made)))


def test_one_that_kshot_would_have_written_is_finished(root: Path) -> None:
    begin(root, events.seal)
    (said,) = catch_up.catch_up(root)
    assert said.endswith("had not been finished, and is now") and history.aliases(root) == {"champion": "2"}


FORGED: dict[str, tuple[dict[str, object], str]] = {
    "an unknown action": ({"action": "blessed"}, "kshot knows no action 'blessed'"),
    "other aliases": ({"action": "rejected"}, "rejected leaves the aliases {'champion': '1'}, and it says"),
    "the gate without evidence": ({"action": "promoted", "proof": None}, "names its evidence, and it has none"),
    "the gate with evidence that refuses": ({"action": "promoted"}, "its evidence does not say promoted"),
    "approval of what did not wait": ({"action": "approved"}, "version 2 did not wait for approval"),
    "back to no champion": ({"action": "rolled back"}, "version 2 never was champion"),
    "without the signature": ({"approval": "signed"}, "not signed, although gate.approval was signed"),
    "another event before": ({"previous": "0" * 64}, "event 3 does not follow from the one before"),
}


@pytest.mark.parametrize(("fields", "told"), FORGED.values(), ids=FORGED)
def test_one_that_kshot_would_not_have_written_moves_nothing(root: Path, fields: dict[str, object], told: str) -> None:
    begin(root, lambda event: events.seal(dataclasses.replace(event, **fields)))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(RegistryError, match="was begun and not finished, and is not carried out") as error:
            catch_up.catch_up(root)
        assert told in str(error.value) and "\n" not in str(error.value)
    assert history.aliases(root) == {"champion": "1", "challenger": "2"}


def test_evidence_that_was_changed_moves_nothing(root: Path) -> None:
    def change(event: Event) -> Event:
        assert event.proof is not None
        proof = dataclasses.replace(event.proof, sha256="0" * 64)
        return events.seal(dataclasses.replace(event, action="waiting", after=event.before, proof=proof))

    begin(root, change)
    with pytest.raises(RegistryError, match="is not the one that it names"):
        catch_up.catch_up(root)


def test_one_without_its_hash_moves_nothing(root: Path) -> None:
    begin(root, lambda event: event)
    with pytest.raises(RegistryError, match="event 3 is not as it was written"):
        catch_up.catch_up(root)
