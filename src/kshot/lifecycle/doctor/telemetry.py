"""Finds usage data that is sent despite no_telemetry.py: because of a shell variable, or by a tool run by hand."""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from kshot.lifecycle.doctor.finding import Finding

CHECK = "telemetry"
TRUE = ("1", "true", "yes", "on", "t", "y")

Environment = Mapping[str, str]


def findings(root: Path, set_by_kshot: frozenset[str]) -> list[Finding]:
    """Find tools that send data. `set_by_kshot`: variables set by this process and not by the person's shell."""
    now = dict(os.environ)
    before = {name: value for name, value in now.items() if name not in set_by_kshot}
    within = [tool for tool, sends in TOOLS.items() if sends(root, now)]
    by_hand = [tool for tool, sends in TOOLS.items() if tool not in within and sends(root, before)]
    found = []
    for tool in within:
        name, value = SWITCH[tool]
        setting = f"{name}={now.get(name, '')}"
        found.append(
            Finding(
                CHECK,
                f"{tool} sends usage data, within kshot too, because the environment says {setting}",
                value,
                UNSET,
            )
        )
    if by_hand:
        switches = " ".join(dict.fromkeys(f"{SWITCH[tool][0]}={SWITCH[tool][1]}" for tool in by_hand))
        found.append(
            Finding(
                CHECK,
                f"{', '.join(by_hand)} would send usage data when run by hand, outside kshot",
                "their switches in the environment",
                f"put into your shell's profile: export {switches}",
                must=False,
            )
        )
    return found


UNSET = "unset it, or set it so in your shell's profile"
# For each tool, the deciding variable and the value that disables telemetry.
SWITCH = {
    "mlflow": ("MLFLOW_DISABLE_TELEMETRY", "true"),
    "prefect": ("DO_NOT_TRACK", "true"),
    "prefect's server": ("PREFECT_SERVER_ANALYTICS_ENABLED", "false"),
    "dvc": ("DVC_NO_ANALYTICS", "1"),
    "huggingface_hub": ("HF_HUB_DISABLE_TELEMETRY", "1"),
}


def _mlflow(root: Path, names: Environment) -> bool:
    # MLflow does not accept "1" for DO_NOT_TRACK.
    return not _true(names, "MLFLOW_DISABLE_TELEMETRY") and names.get("DO_NOT_TRACK", "").lower() != "true"


def _prefect(root: Path, names: Environment) -> bool:
    return names.get("DO_NOT_TRACK", "").lower() not in ("1", "true", "yes")


def _prefects_server(root: Path, names: Environment) -> bool:
    name = "PREFECT_SERVER_ANALYTICS_ENABLED"
    return _true({name: names.get(name) or _profile(names).get(name, "true")}, name)


def _dvc(root: Path, names: Environment) -> bool:
    if names.get("DVC_NO_ANALYTICS"):
        return False
    from dvc.config import Config
    from dvc.exceptions import DvcException

    try:
        value = Config(str(root / ".dvc"), validate=False).get("core", {}).get("analytics", "true")
    except DvcException:
        return False  # a project without DVC, or with a config that every other command refuses
    return str(value).lower() in TRUE


def _hub(root: Path, names: Environment) -> bool:
    return not any(_true(names, name) for name in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"))


# Each function says whether the tool would send data with these variables.
TOOLS: dict[str, Callable[[Path, Environment], bool]] = {
    "mlflow": _mlflow,
    "prefect": _prefect,
    "prefect's server": _prefects_server,
    "dvc": _dvc,
    "huggingface_hub": _hub,
}


def _true(names: Mapping[str, str | None], name: str) -> bool:
    return str(names.get(name) or "").lower() in TRUE


def _profile(names: Environment) -> dict[str, str]:
    """The settings of Prefect's active profile, which apply when it is run by hand."""
    home = Path(names.get("PREFECT_HOME") or Path.home() / ".prefect")
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
        values = profiles["profiles"][names.get("PREFECT_PROFILE") or profiles["active"]]
        return {str(name): str(value) for name, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
