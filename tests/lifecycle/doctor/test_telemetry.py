"""Usage data that is sent although kshot turns it off: the doctor reports what the tool itself reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot.lifecycle.doctor import telemetry
from kshot.lifecycle.project import no_telemetry
from tests.lifecycle import raw_project
from tests.lifecycle.project.test_no_telemetry import ASK

# What a person's shell has to say so that the tool sends something within kshot too.
ON = {
    "mlflow": {"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "1"},  # MLflow takes no "1"
    "prefect": {"DO_NOT_TRACK": "false"},
    "prefect's server": {"PREFECT_SERVER_ANALYTICS_ENABLED": "true"},
    "huggingface_hub": {"HF_HUB_DISABLE_TELEMETRY": "0", "DO_NOT_TRACK": "0"},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a shell in which nothing of all this is set."""
    for name in (*no_telemetry.SWITCHES, "DISABLE_TELEMETRY", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    return raw_project.make(tmp_path / "root")


def look(root: Path) -> list[telemetry.Finding]:
    """As `kshot doctor` does it."""
    return telemetry.findings(root, no_telemetry.silence_telemetry())


@pytest.mark.parametrize("tool", ON)
def test_a_variable_that_switches_a_tool_on_is_told(tool: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ON[tool].items():
        monkeypatch.setenv(name, value)
    must = [str(finding) for finding in look(root) if finding.must]
    assert any(line.startswith(f"{tool} sends usage data, within kshot too") for line in must)
    names = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_CURRENT_TEST")}
    asked = ASK["the hub" if tool == "huggingface_hub" else tool]
    told = subprocess.run([sys.executable, "-c", asked], env=names, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"


def test_tools_run_by_hand_are_worth_knowing(root: Path) -> None:
    (finding,) = look(root)
    assert not finding.must
    assert str(finding).startswith("mlflow, prefect, prefect's server, huggingface_hub would send usage data when run")
    assert "export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true" in finding.mend


def test_dvc_is_silent_by_the_projects_config_and_told_where_that_is_overruled(root: Path) -> None:
    (root / ".dvc/config.local").write_text("[core]\n    analytics = true\n")
    (finding,) = look(root)
    assert ", dvc, huggingface_hub would send" in str(finding) and "DVC_NO_ANALYTICS=1" in finding.mend


def test_a_profile_of_prefects_counts(root: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/profiles.toml").write_text(
        'active = "mine"\n[profiles.mine]\nPREFECT_SERVER_ANALYTICS_ENABLED = "false"\n'
    )
    (finding,) = look(root)
    assert "prefect's server" not in str(finding)


def test_a_shell_that_says_no_is_well(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in telemetry.SWITCH.values():
        monkeypatch.setenv(name, value)
    assert look(root) == []
