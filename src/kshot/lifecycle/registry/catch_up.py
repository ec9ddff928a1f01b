"""Brings the history up to date: finishes unfinished events and expires decisions that nobody made in time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.history import anchor, append_event, history
from kshot.lifecycle.history.events import (
    CHAMPION,
    EXPIRED,
    minute,
    person,
    without,
)
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient


def catch_up(root: Path) -> tuple[str, ...]:
    """Finish an interrupted event, record aliases moved outside kshot, and expire decisions that nobody made in time.

    Returns one sentence for each. If all is in order, it returns none, writes nothing and waits for nothing.
    """
    where = store.connect(root)
    with store.translated_errors(where):
        client = store.client()
        record = history.read(client, root)
        if (
            record.is_consistent
            and not _overdue(client, root)
            and not anchor.behind(root, record.run_id, record.events)
        ):
            return ()
        with exclusive(root, "registry"):
            record, repairs, _ = append_event.reconcile(client, root, where)
            for version in _overdue(client, root):
                until = minute(version.tags["kshot.waiting_until"])
                after = without(record.aliases, version.version)
                if record.aliases.get(CHAMPION) == version.version:
                    after[CHAMPION] = version.version  # moved to it outside kshot: production must not lose its model
                new = append_event.NewEvent(
                    action=EXPIRED,
                    version=version.version,
                    after=after,
                    who=person(),
                    why=f"nobody answered until {until}",
                    compared_with=version.tags.get("kshot.compared_with", ""),
                    rules=version.tags.get(model_versions.RULES, ""),
                )
                event = append_event.append(root, client, record, new)
                repairs += (f"version {version.version} is rejected: {event.why}",)
                record = history.read(client, root)
    return repairs


def _overdue(client: "MlflowClient", root: Path) -> list[Registered]:
    now = datetime.now(UTC)
    waiting = model_versions.waiting(client, root)
    return [one for one in waiting if datetime.fromisoformat(one.tags["kshot.waiting_until"]) < now]
