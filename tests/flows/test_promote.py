"""A person's decision through Prefect: a real server, a served deployment, and the form's parameters."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kshot.errors import KshotError, RegistryError
from kshot.flows.at_commit import SERVED
from kshot.flows.promote import promote
from kshot.lifecycle.history import events, history
from kshot.lifecycle.project import no_telemetry
from kshot.lifecycle.registry import gate_decision
from tests import prefect_database
from tests.flows.project import REPOSITORY, environment
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement

SERVE = """
import os, sys
from pathlib import Path
from prefect import serve
from kshot.flows.at_commit import SERVED
from kshot.flows.promote import deployment
os.environ[SERVED] = sys.argv[1]
serve(deployment(Path(sys.argv[1])), pause_on_shutdown=False, print_starting_message=False)
"""

# What the page does when its form is sent: it creates a run of the deployment with these parameters.
ANSWER = """
import json, subprocess, sys, time
from pathlib import Path
from kshot.flows import server
root = Path(sys.argv[1])
starting = server.launch(root)
starting.wait()
worker = subprocess.Popen([sys.executable, "-c", sys.argv[2], str(root)])
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
try:
    with get_client(sync_client=True) as client:
        for _ in range(600):
            try:
                found = client.read_deployment_by_name("promote/answer")
                break
            except ObjectNotFound:
                time.sleep(0.2)
        properties = found.parameter_openapi_schema["properties"]
        required = found.parameter_openapi_schema["required"]
        print(json.dumps([sorted(properties), properties["answer"]["enum"], required]))
    for parameters in (
        {"answer": "approve", "by": "Grace", "reason": "as expected", "root": sys.argv[3]},
        {"answer": "approve", "by": "Grace", "reason": "as expected"},
    ):
        try:
            state = run_deployment("promote/answer", parameters=parameters, timeout=200, poll_interval=1).state
            print(json.dumps([state.type.value, state.message]))
        except Exception as error:
            print(json.dumps([type(error).__name__, str(error)]))
finally:
    worker.terminate()
    worker.wait(30)
"""


def waiting(root: Path) -> Path:
    """Version 1 is champion, version 2 waits for a person."""
    registered_versions.write(root, 2)
    gate_decision.record_decision(root, "1", judgement(True), "r")
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r", datetime.now(UTC) + timedelta(hours=1))
    return root


def test_an_answer_that_cannot_be_is_the_error_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without a server and a process for the run: Prefect shows the error of a flow as that of its run.
    root = waiting(tmp_path / "project")
    monkeypatch.setenv(SERVED, str(root))
    with pytest.raises(RegistryError, match="version 1 is the champion and cannot be rejected"):
        promote.fn("reject", "Grace", "1", "no")
    with pytest.raises(KshotError, match="the name is empty"):
        promote.fn("approve", " ")
    monkeypatch.delenv(SERVED)
    with pytest.raises(KshotError, match="no project is served here"):
        promote.fn("approve", "Grace")
    assert history.aliases(root) == {"champion": "1", "challenger": "2"}


def test_the_form_of_prefects_page_answers_what_waits(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = waiting(tmp_path / "project")
    prefect_database.put(tmp_path_factory, root / no_telemetry.PREFECT_HOME)
    ended = subprocess.run(
        [sys.executable, "-c", ANSWER, str(root), SERVE, str(tmp_path / "another")],
        cwd=REPOSITORY,
        env={**environment(), "PREFECT_LOGGING_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        timeout=float(os.environ.get("KSHOT_TEST_PATIENCE_S", "400")),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    form, elsewhere, done = (line for line in ended.stdout.splitlines() if line.startswith("["))
    fields = ["answer", "by", "reason", "version"]  # and no folder
    assert json.loads(form) == [fields, ["approve", "reject", "promote", "rollback"], ["answer", "by"]]
    assert json.loads(elsewhere)[0] in ("CRASHED", "FAILED")  # the version waits still: the next answer is taken
    assert done.startswith('["COMPLETED"')
    last = history.history(root)[-1]
    assert history.aliases(root) == {"champion": "2"}
    assert (last.action, last.who, last.why) == ("approved", events.person("Grace, by the form"), "as expected")
