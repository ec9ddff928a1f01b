"""A registered model that was deleted or renamed on MLflow's page while its history of promotions remains."""

import os
from pathlib import Path

from kshot.lifecycle import history, store
from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.events import CHAMPION

CHECK = "registry"


def look(root: Path) -> list[Finding]:
    """What became of the model. Raises RegistryError for a history that cannot be read."""
    database = root / store.DATABASE
    if "MLFLOW_TRACKING_URI" not in os.environ and (not database.exists() or unreadable(database)):
        return []
    record = history.record(root)
    if not record.trouble:
        return []
    champion = record.last.after.get(CHAMPION, "") if record.last else ""
    found, _, mend = record.trouble.partition("; ")
    need = f"the model of that name, with version {champion} as champion" if champion else "the model of that name"
    return [Finding(CHECK, found, need, mend)]
