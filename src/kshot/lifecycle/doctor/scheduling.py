"""Finds a stored schedule that no process serves: no retraining starts, and no message says so."""

from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import project_lock, state_place

CHECK = "schedule"


def findings(root: Path) -> list[Finding]:
    """Find a schedule that no process serves; a schedule that is entirely paused is fine."""
    try:
        if state_place.elsewhere(root) is not None:
            return []  # reported by the check of places
        current = schedule.read(root)
        served = project_lock.holder(root, project_lock.SERVING)
    except (KshotError, OSError):
        return []  # reported by the check of files
    active = [name for name in current.names() if name not in current.paused] if current else []
    if not active or served is not None:
        return []
    found = f"{', '.join(active)} is scheduled in {schedule.FILE}, and no process serves it: nothing is started"
    mend = "kshot schedule, under systemd, tmux or what keeps your services; or kshot schedule remove"
    return [Finding(CHECK, found, "a process that serves it", mend)]
