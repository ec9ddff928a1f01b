"""Runs every check once; a check that cannot run is reported as a finding of its own."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.doctor import (
    copied_state,
    damaged_shards,
    files,
    moved,
    registered_model,
    remote,
    runs,
    scheduling,
    setting_names,
    telemetry,
    versions,
)
from kshot.lifecycle.doctor.finding import Finding


def checkup(root: Path, set_by_kshot: frozenset[str], more: dict[str, Callable[[], list[Finding]]]) -> list[Finding]:
    """Findings of all checks, including `more`. `set_by_kshot`: variables that no_telemetry.silence_telemetry set."""
    checks: dict[str, Callable[[], list[Finding]]] = {
        versions.CHECK: versions.look,
        telemetry.CHECK: lambda: telemetry.look(root, set_by_kshot),
        setting_names.CHECK: lambda: setting_names.look(root),
        files.CHECK: lambda: files.look(root),
        copied_state.CHECK: lambda: copied_state.look(root),
        moved.CHECK: lambda: moved.look(root),
        damaged_shards.PACKED: lambda: damaged_shards.look_at_packed(root),
        damaged_shards.FEATURES: lambda: damaged_shards.look_at_features(root),
        runs.CHECK: lambda: runs.look(root),
        registered_model.CHECK: lambda: registered_model.look(root),
        scheduling.CHECK: lambda: scheduling.look(root),
        remote.CHECK: lambda: remote.look(root),
        **more,
    }
    found: dict[str, Finding] = {}
    for name, look in checks.items():
        for finding in findings_of(name, look):
            found.setdefault(finding.found, finding)  # two checks may find the same problem
    return list(found.values())


def findings_of(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """Findings of a check; an error with a message for a person also becomes a finding."""
    try:
        return look()
    except KshotError as error:
        found, _, mend = str(error).partition("; ")
        return [Finding(name, found, "an answer", mend or "see above")]
    except (OSError, sqlite3.Error) as error:
        found = f"this could not be looked at: {error}"
        return [Finding(name, found, "files that can be read", "`kshot --debug doctor` shows which")]
