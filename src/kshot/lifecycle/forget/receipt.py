"""The receipt of an erasure: hashes and not names, so that it can be handed to whoever asked for it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.forget.intent import Intent
from kshot.lifecycle.forget.run_files import TrainedOn
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.registry.events import Event
from kshot.params import project_name

KIND, FORM = "kshot receipt of an erasure", 1


def path_of(root: Path, erasure: Erasure) -> Path:
    """Where the receipt of an erasure is written."""
    return root / layout.REPORT.parent / f"erasure-{erasure.key}.json"


def write(root: Path, path: Path, noted: Intent, models: Sequence[TrainedOn], event: Event | None) -> None:
    """Write the receipt of a finished erasure."""
    erasure = noted.erasure
    content = {
        "kind": KIND,
        "form": FORM,
        "project": project_name.of(root),
        "asked": erasure.at,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": erasure.by,
        "reason": erasure.reason,
        "erasure": erasure.digest,
        "event": None if event is None else {"number": event.number, "hash": event.hash},
        "images": [{"md5": one.md5, "sha256": one.sha256, "bytes": one.size} for one in noted.images],
        "deleted": [
            {"place": one.place, "what": one.what, "name": one.name, "bytes": one.size} for one in noted.holdings
        ],
        "incomplete_data_versions": list(erasure.versions),
        "new_data_version": noted.version or None,
        "models_trained_on_them": [{"version": one.version, "data_version": one.data_version} for one in models],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
