"""Telemetry is off, unless a person chose otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot.lifecycle.project import no_telemetry

ASK = {
    "prefect": "from prefect._internal.analytics.enabled import is_telemetry_enabled as on; print(on())",
    "prefect's server": "from prefect.settings import get_current_settings as s; print(s().server.analytics_enabled)",
    "dvc": "from dvc.analytics import is_enabled as on; print(on())",
    "mlflow": "from mlflow.telemetry.utils import is_telemetry_disabled as off; print(not off())",
    "the hub": "from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY as off; print(not off)",
}


@pytest.mark.parametrize("tool", ASK)
def test_the_tool_itself_says_that_it_is_off(tool: str, tmp_path: Path) -> None:
    code = f"from kshot.lifecycle.project.no_telemetry import silence_telemetry as s; s(); {ASK[tool]}"
    # An environment in which each would be on: no CI variable, no switch.
    bare = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    home = {"HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**bare, **home}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_a_variable_that_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in no_telemetry.SWITCHES:
        monkeypatch.setenv(name, "mine")
    no_telemetry.silence_telemetry()
    assert {os.environ[name] for name in no_telemetry.SWITCHES} == {"mine"}


def test_prefect_lives_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "to be restored")
    monkeypatch.delenv("PREFECT_HOME")
    home = no_telemetry.keep_prefect_in(tmp_path)
    assert home == tmp_path / ".kshot" / "prefect"
    assert home.is_dir()
    assert os.environ["PREFECT_HOME"] == str(home)


def test_prefect_starts_no_open_server_by_itself(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from kshot.lifecycle.project import no_telemetry;"
        "no_telemetry.keep_prefect_in(Path('.'));"
        "from prefect import get_client; get_client(sync_client=True)"
    )
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and "No Prefect API URL provided" in ended.stderr
