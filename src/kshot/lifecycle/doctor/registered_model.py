"""Finds a registered model that was deleted or renamed on MLflow's page, and a history only partly anchored in git."""

import os
from pathlib import Path

from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.history import anchor, history
from kshot.lifecycle.history.events import CHAMPION
from kshot.lifecycle.tracking import store

CHECK = "registry"


def look(root: Path) -> list[Finding]:
    """Find what happened to the model. Raises RegistryError for a history that cannot be read."""
    database = root / store.DATABASE
    if "MLFLOW_TRACKING_URI" not in os.environ and (not database.exists() or unreadable(database)):
        return []
    record = history.record(root)
    if not record.trouble:
        return _anchor(root, record)
    champion = record.last.after.get(CHAMPION, "") if record.last else ""
    found, _, mend = record.trouble.partition("; ")
    need = f"the model of that name, with version {champion} as champion" if champion else "the model of that name"
    return [Finding(CHECK, found, need, mend)]


def _anchor(root: Path, record: history.Record) -> list[Finding]:
    """The last events, if a kill prevented their anchor in git."""
    left = anchor.behind(root, record.run_id, record.events)
    if not left or record.last is None or not record.last.done:
        return []
    found = f"the last {left} of {len(record.events)} events are not anchored in git, as after a kill"
    mend = "kshot doctor --mend, or the next command that decides"
    events = record.events
    return [
        Finding(
            CHECK,
            found,
            "the anchor, or who rewrites them is not found",
            mend,
            must=False,
            by_itself=lambda: anchor.catch_up(root, record.run_id, events) or "git anchors no more than before",
        )
    ]
