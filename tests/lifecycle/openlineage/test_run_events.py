"""Events of flows and decisions are valid by OpenLineage's schema, reach a file or an address, and fail nothing."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.generated.base import BaseFacet

from kshot import cli
from kshot.flows import lineage_events
from kshot.lifecycle.openlineage import delivery
from kshot.lifecycle.openlineage.run_events import Decided, LineageRun, run_event
from kshot.lifecycle.registry import gate_decision, registration
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from tests.lifecycle import registered_versions

RETRAIN = LineageRun("retrain", "0190f5a2-0000-7000-8000-000000000001", True, "FLOW")
MD5 = "7842eb36" + "0" * 24
ACCURACY = {"mean": 0.9, "low": 0.8, "high": 0.95, "episodes": 20}
FACETS = {
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a data version and the accuracies of a model."""
    (tmp_path / "data").mkdir()
    (tmp_path / "reports").mkdir()
    (tmp_path / "params.yaml").write_text("project: shop\n")
    (tmp_path / "data/raw.dvc").write_text(f"outs:\n- md5: {MD5}.dir\n  size: 4\n  nfiles: 2\n  path: raw\n")
    line = {"md5": MD5, "source": "photos", "images": 1, "classes": 1, "files": 2, "size": 4, "note": "", "added": ""}
    (tmp_path / "data/versions.jsonl").write_text(json.dumps(line) + "\n")
    metrics = {"accuracy": {"5w1s": {**ACCURACY, "more": 1}}}
    (tmp_path / "reports/metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def facets(found: dict[str, Any]) -> dict[str, Any]:
    """Each facet as OpenLineage's class of it, which refuses what its schema does not have; our own as the base."""
    made = {}
    for name, content in found.items():
        given = {key: value for key, value in content.items() if not key.startswith("_")}
        kind = FACETS.get(name)
        one = BaseFacet(producer=content["_producer"]) if kind is None else kind(producer=content["_producer"], **given)
        if kind is not None:
            assert content["_schemaURL"].split("/")[-1] == kind.__name__
        made[name] = one
    return made


def validated(event: dict[str, Any]) -> event_v2.RunEvent:
    """The event as OpenLineage's class, whose validators check times, addresses and the run's id."""
    given = dict(event)
    assert given.pop("schemaURL") == event_v2.RunEvent._get_schema()
    given["run"] = event_v2.Run(given["run"]["runId"], facets(given["run"]["facets"]))
    given["job"] = event_v2.Job(**{**given["job"], "facets": facets(given["job"]["facets"])})
    for key, kind in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset)):
        given[key] = [kind(**{**one, "facets": facets(one["facets"])}) for one in given[key]]
    given["eventType"] = event_v2.RunState(given["eventType"])
    return event_v2.RunEvent(**given)


def test_a_finished_retraining_names_data_model_accuracy_and_decision(root: Path) -> None:
    event = run_event(root, RETRAIN, "COMPLETE", Decided("3", "promoted", ("better",)))
    validated(event)
    assert event["job"]["namespace"] == "kshot:shop"
    (data,), (model,) = event["inputs"], event["outputs"]
    assert (data["name"], data["facets"]["version"]["datasetVersion"]) == ("data/raw", MD5)
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == ("model", "3")
    assert model["facets"]["kshot_accuracy"]["accuracy"] == {"5w1s": ACCURACY}
    assert event["run"]["facets"]["kshot_decision"]["decision"] == "promoted"


def test_a_decision_by_a_command_names_what_the_version_was_registered_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the project's own data and accuracies: they may be those of a later version."""
    root = registered_versions.write(tmp_path / "project")
    gate_decision.record_decision(root, "1", registered_versions.judgement(True, None), "r")
    client = store.client()
    tags = {"kshot.data_version": MD5, registration.ACCURACY: json.dumps({"5w1s": [0.9, 0.8, 0.95]})}
    for name, value in tags.items():
        client.set_model_version_tag(project_name.of(root), "2", name, value)
    monkeypatch.chdir(root)
    monkeypatch.setenv(delivery.NAME, "events.jsonl")
    assert cli.main(["promote", "2", "--reason", "sharp", "--allow-unrecorded"]) == 0
    assert cli.main(["approve", "3"]) != 0
    first, done, _, refused = (json.loads(line) for line in (root / "events.jsonl").read_text().splitlines())
    for event in (first, done, refused):
        validated(event)
        assert event["job"]["name"] == "promote" and event["job"]["facets"]["jobType"]["jobType"] == "COMMAND"
    assert first["run"]["runId"] == done["run"]["runId"] != refused["run"]["runId"]
    assert (first["eventType"], first["inputs"], first["outputs"]) == ("START", [], [])
    (data,), (model,) = done["inputs"], done["outputs"]
    assert (data["name"], data["facets"]["version"]["datasetVersion"]) == ("data/raw", MD5)
    assert model["facets"]["version"]["datasetVersion"] == "2"
    assert model["facets"]["kshot_accuracy"]["accuracy"] == {"5w1s": {"mean": 0.9, "low": 0.8, "high": 0.95}}
    decided = done["run"]["facets"]["kshot_decision"]
    assert (decided["decision"], decided["reasons"]) == ("promoted by hand", ["sharp"])
    assert refused["eventType"] == "FAIL" and "version 3" in refused["run"]["facets"]["errorMessage"]["message"]


def test_a_failed_one_names_its_error_without_passwords(root: Path) -> None:
    event = run_event(root, RETRAIN, "FAIL", error=ValueError("http://ada:geheim@example.org was not there"))
    validated(event)
    assert event["outputs"] == []
    assert event["run"]["facets"]["errorMessage"]["message"] == "http://***@example.org was not there"


def test_before_there_is_data_there_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("project: shop\n")
    event = run_event(tmp_path, RETRAIN, "START")
    validated(event)
    assert event["inputs"] == []


def test_a_file_gets_a_line_an_event_beside_the_project_of_a_worktree(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(delivery.NAME, "logs/events.jsonl")
    delivery.deliver({"a": 1}, root)
    delivery.deliver({"b": 2}, root / ".kshot/worktree")
    delivery.deliver({"c": 3}, root / ".kshot/worktree/shops/shop")  # of a project that is a subfolder
    assert (root / "logs/events.jsonl").read_text() == '{"a": 1}\n{"b": 2}\n{"c": 3}\n'


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """An address, and what came there: path, authorization, content."""
    came: list[tuple[str, str, Any]] = []

    class Receives(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receives) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}", came
        served.shutdown()
        thread.join()


def test_an_address_gets_them_at_openlineages_path_or_at_its_own(
    server: tuple[str, list[tuple[str, str, Any]]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, came = server
    monkeypatch.setenv(delivery.KEY, "geheim")
    for path in ("", "/", "/own"):
        monkeypatch.setenv(delivery.NAME, address + path)
        delivery.deliver({"a": 1}, root)
    default = ("/api/v1/lineage", "Bearer geheim", {"a": 1})
    assert came == [default, default, ("/own", "Bearer geheim", {"a": 1})]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(lineage_events, "say", lines.append)
    return lines


def states(root: Path) -> list[str]:
    return [json.loads(line)["eventType"] for line in (root / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("error", "last"), [(None, "COMPLETE"), (ValueError, "FAIL"), (KeyboardInterrupt, "ABORT")])
def test_a_flow_sends_two_events_of_one_run(
    root: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None, last: str
) -> None:
    monkeypatch.setenv(delivery.NAME, "events.jsonl")

    def flow() -> None:
        with lineage_events.of_flow(root, "retrain", measures=True) as events:
            events.decided("3", "promoted", ())
            if error is not None:
                raise error("no")

    if error is None:
        flow()
    else:
        with pytest.raises(error, match="no"):
            flow()
    assert (states(root), said) == (["START", last], [])
    first, second = (json.loads(line) for line in (root / "events.jsonl").read_text().splitlines())
    assert first["run"]["runId"] == second["run"]["runId"]
    assert second["outputs"][0]["facets"]["version"]["datasetVersion"] == "3"


def test_a_place_that_takes_no_event_is_said_and_fails_nothing(
    root: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(delivery.NAME, "http://ada:geheim1@127.0.0.1:9/")
    with lineage_events.of_flow(root, "retrain", measures=True):
        pass
    assert len(said) == 2 and "the OpenLineage event START was not delivered to http://***@127.0.0.1:9/" in said[0]
    assert not any("geheim1" in line for line in said)


def test_without_the_setting_there_is_no_event(root: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(delivery.NAME, raising=False)
    before = sorted(root.rglob("*"))
    with lineage_events.of_flow(root, "retrain", measures=True):
        pass
    assert (sorted(root.rglob("*")), said) == (before, [])
