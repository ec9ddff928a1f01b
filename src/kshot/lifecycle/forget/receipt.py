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


def write(root: Path, path: Path, noted: Intent, models: Sequence[TrainedOn], events: Sequence[Event | None]) -> None:
    """Write the receipt of a finished erasure. `events`: those that seal the lines of `noted.erasures`."""
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
        "event": _shown(events[0]),
        "later": [
            {"erasure": one.digest, "event": _shown(event)} for one, event in zip(noted.later, events[1:], strict=True)
        ],
        "images": [{"md5": one.md5, "sha256": one.sha256, "bytes": one.size} for one in noted.images],
        "deleted": [
            {"place": one.place, "what": one.what, "name": one.name, "bytes": one.size} for one in noted.holdings
        ],
        "incomplete_data_versions": list(noted.incomplete),
        "new_data_version": noted.version or None,
        "models_trained_on_them": [{"version": one.version, "data_version": one.data_version} for one in models],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _shown(event: Event | None) -> dict[str, object] | None:
    return None if event is None else {"number": event.number, "hash": event.hash}
