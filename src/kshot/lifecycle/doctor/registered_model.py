"""Finds a registered model that was changed on MLflow's page, and a history that is only partly anchored in git."""

import os
from pathlib import Path

from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.history import anchor, champions, history
from kshot.lifecycle.history.event_text import moves
from kshot.lifecycle.history.events import CHAMPION
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.tracking import store

CHECK = "registry"


def findings(root: Path) -> list[Finding]:
    """Find changes to the model, its champion and anchor. Raises RegistryError for a history that cannot be read."""
    database = root / store.DATABASE
    if "MLFLOW_TRACKING_URI" not in os.environ and (not database.exists() or unreadable(database)):
        return []
    record = history.record(root)
    if not record.trouble:
        return [*_undecided(root, record), *_anchor(root, record)]
    champion = record.last.after.get(CHAMPION, "") if record.last else ""
    found, _, mend = record.trouble.partition("; ")
    need = f"the model of that name, with version {champion} as champion" if champion else "the model of that name"
    return [Finding(CHECK, found, need, mend)]


def _undecided(root: Path, record: history.Record) -> list[Finding]:
    """A champion without a decision, or a missing one: the alias was moved, or its version deleted, outside kshot."""
    last = record.last
    if last is None or not last.done:
        return []
    registered = model_versions.versions(root) if champions.taken_outside(record.events) else ()
    found, _, mend = champions.undecided(record.events, registered).partition("; ")
    if moved := [move for move in moves(last.after, record.aliases) if move.startswith(f"alias {CHAMPION} ")]:
        found = f"{moved[0]}, outside kshot"
        mend = "`kshot history` and `kshot models` show what there is; `kshot promote` or `kshot rollback` decides"
    return [Finding(CHECK, found, "a decision", mend)] if found else []


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
