"""The history through the server of `kshot ui`, with its token: the same events, one winner, the same text."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot.cli import ui
from kshot.lifecycle.history import append_event, event_chain, history, history_run
from kshot.lifecycle.history.events import person
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.registry import gate_decision, promotion
from kshot.lifecycle.servers.server_token import token
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server on a store of its own, and its token."""
    root = tmp_path_factory.mktemp("server")
    port, home = ui.free_port(5600), private_state(root) / "prefect"
    with (
        ui.server(root, *ui.mlflow_command(root, home, port), port) as (process, _),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(ui, "START_S", float(os.environ.get("KSHOT_TEST_PATIENCE_S", "240")))
        ui.wait_for(process, port)
        yield f"http://127.0.0.1:{port}", token(home)


@pytest.fixture
def root(served: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that keeps its records on the server, with three versions."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served[0])
    user, _, password = served[1].partition(":")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    return registered_versions.write(tmp_path / "project", 3)


def test_the_whole_life_of_a_promotion_on_a_server(root: Path) -> None:
    gate_decision.record_decision(root, "1", judgement(True, why="ü " * 3000), "r")
    gate_decision.record_decision(root, "2", judgement(False, "1"), "r")
    promotion.promote(root, "2", "needed now", "Ada")
    promotion.rollback(root, "not in the field", by="Grace")
    client = store.client()
    seen = history.read(client, root)
    assert [event.action for event in seen.events] == ["promoted", "refused", "promoted by hand", "rolled back"]
    assert seen.aliases == {"champion": "1"} and event_chain.verify(seen.events, seen.aliases) == []

    # Two that saw the same state: the second is refused by the database behind the server.
    move = {"action": "promoted by hand", "version": "3", "after": {"champion": "3"}, "why": "rivals"}
    append_event.append(root, client, seen, append_event.NewEvent(who=person("Ada"), **move))
    with pytest.raises(append_event.Overtaken, match=r"recorded first \(event 5 \(version 3 promoted by hand by Ada"):
        append_event.append(root, client, seen, append_event.NewEvent(who=person("Grace"), **move))
    assert len(history.history(root)) == 5

    # Another machine that finds the model made already keeps the one history.
    history_run.begin(client, root, store.connect(root))
    assert len(history.history(root)) == 5
