"""A retraining that a process worker takes from a Prefect server's work pool, by the commands of docs/schedule.md."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kshot.lifecycle.params_file import settings
from tests.flows.project import REPOSITORY, SETTINGS, draw_classes, kshot, make_project
from tests.services.processes import PATIENCE_S, free_port, process, wait_for

pytestmark = pytest.mark.services

PREFECT = str(Path(sys.executable).with_name("prefect"))
GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


def make(root: Path) -> Path:
    """A project with small settings in its commit, where a worker finds them, and with data."""
    made = make_project(root)
    shutil.copy(REPOSITORY / "prefect.yaml", made)
    text, _ = settings.plan(made, overlay=made / "overlay.yaml", sets=[one for one in SETTINGS if one != "--set"])
    settings.write(made, text)
    assert kshot(made, "data", "add", str(draw_classes(root.parent / "images"))).code == 0
    for command in (["add", "."], ["commit", "-qm", "small, with data"]):
        subprocess.run([*GIT, *command], cwd=made, check=True)
    return made


def test_a_process_worker_retrains_and_promotes_what_the_server_asks_for(tmp_path: Path) -> None:
    project, port = make(tmp_path / "project"), free_port()
    names = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "KSHOT_PROJECT": str(project),
        "KSHOT_NOTIFY": "",
    }

    def prefect(*arguments: str) -> None:
        """Run a command of Prefect's in the project."""
        environment = {**os.environ, **names}
        ended = subprocess.run(
            [PREFECT, "--no-prompt", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    log = tmp_path / "server.log"
    server = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with process(server, names, log) as started:
        wait_for(started, port, "/api/health", log)
        prefect("work-pool", "create", "kshot-machine", "--type", "process")
        prefect("deploy", "--name", "on-machine")
        worker = [PREFECT, "worker", "start", "--pool", "kshot-machine"]
        with process(worker, names, tmp_path / "worker.log"):
            try:
                prefect("deployment", "run", "retrain/on-machine", "--watch")  # fails if the run does
            except AssertionError as error:
                raise AssertionError((tmp_path / "worker.log").read_text()[-3000:]) from error
    history = kshot(project, "history")
    assert history.code == 0 and "version 1 promoted, by gate" in history.out
    assert "all 15 links hold" in kshot(project, "audit", "--model", "1").out
