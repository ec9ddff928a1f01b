"""Disables telemetry: every switch of the tools that send usage data by default, in one place.

The switches are environment variables, because child processes (DVC's stages, MLflow's and Prefect's servers) must
inherit them and because most tools read them when they are imported. Call `silence_telemetry` first.
"""

import os
from pathlib import Path

from kshot.lifecycle.project import state_place
from kshot.lifecycle.project.private_state import private_database, private_state

PREFECT_HOME = Path(".kshot/prefect")  # in the project

SWITCHES = {
    "DO_NOT_TRACK": "true",  # Prefect's SDK, huggingface_hub, MLflow (which accepts "true" but not "1")
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "DVC_NO_ANALYTICS": "1",
    "ITERATIVE_DO_NOT_TRACK": "1",  # DVC's telemetry library, also when other iterative tools load it
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def silence_telemetry() -> frozenset[str]:
    """Switch off every tool's telemetry in this process and its children. Returns the variables that were not yet set.

    A variable that is already set keeps its value, because whoever exported it decided so.
    """
    missing = frozenset(SWITCHES.keys() - os.environ.keys())
    for name in missing:
        os.environ[name] = SWITCHES[name]
    return missing


def keep_prefect_in(root: Path) -> Path:
    """Give Prefect a home inside the project `root` (its temporary server would use ~/.prefect). Returns the home.

    A PREFECT_HOME that is already set is not changed. Call this before anything imports prefect, so that prefect never
    starts a temporary server when none is named: that server would accept requests from every page and user.
    """
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    state_place.require_here(root)
    own = private_state(root.resolve()) / PREFECT_HOME.name
    state_place.remember(root)
    home = os.environ.setdefault("PREFECT_HOME", str(own))
    Path(home).mkdir(parents=True, exist_ok=True)
    if Path(home) == own and not os.environ.get("PREFECT_API_URL"):  # a remote server has its own database
        private_database(own / "prefect.db")
    return Path(home)
