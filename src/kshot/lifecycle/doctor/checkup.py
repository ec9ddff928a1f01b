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
        versions.CHECK: versions.findings,
        telemetry.CHECK: lambda: telemetry.findings(root, set_by_kshot),
        setting_names.CHECK: lambda: setting_names.findings(root),
        files.CHECK: lambda: files.findings(root),
        copied_state.CHECK: lambda: copied_state.findings(root),
        moved.CHECK: lambda: moved.findings(root),
        damaged_shards.PACKED: lambda: damaged_shards.packed_findings(root),
        damaged_shards.FEATURES: lambda: damaged_shards.feature_findings(root),
        runs.CHECK: lambda: runs.findings(root),
        registered_model.CHECK: lambda: registered_model.findings(root),
        scheduling.CHECK: lambda: scheduling.findings(root),
        remote.CHECK: lambda: remote.findings(root),
        **more,
    }
    found: dict[str, Finding] = {}
    for name, check in checks.items():
        for finding in findings_of(name, check):
            found.setdefault(finding.found, finding)  # two checks may find the same problem
    return list(found.values())


def findings_of(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Findings of a check; an error with a message for a person also becomes a finding."""
    try:
        return check()
    except KshotError as error:
        found, _, mend = str(error).partition("; ")
        return [Finding(name, found, "an answer", mend or "see above")]
    except (OSError, sqlite3.Error) as error:
        found = f"this could not be looked at: {error}"
        return [Finding(name, found, "files that can be read", "`kshot --debug doctor` shows which")]
