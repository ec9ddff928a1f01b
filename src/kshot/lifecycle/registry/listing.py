"""Lists the registered versions, one row each: aliases, data, accuracies, decision, age. Makes only a few requests."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kshot.lifecycle.history import history
from kshot.lifecycle.history.event_chain import verify
from kshot.lifecycle.history.events import CHAMPION, minute
from kshot.lifecycle.registry import registration
from kshot.lifecycle.tracking import store


@dataclass(frozen=True)
class Model:
    """One version. `accuracy`: protocol to mean, low and high in [0, 1]; `decision`: text for a person."""

    version: str
    aliases: tuple[str, ...]
    data_version: str
    accuracy: dict[str, tuple[float, float, float]]
    decision: str
    registered_at: datetime
    run_id: str


@dataclass(frozen=True)
class Listing:
    """Every version, newest last, and the problems of their history (`events.verify`)."""

    models: tuple[Model, ...]
    problems: tuple[str, ...]


def listing(root: Path) -> Listing:
    """Read the registry; empty if nothing was registered. Raises RegistryError."""
    with store.translated_errors(store.connect(root)):
        client = store.client()
        record = history.read(client, root)
        found = client.search_model_versions(store.of_project(root))
    names: dict[str, list[str]] = {}
    for alias, version in record.aliases.items():
        names.setdefault(version, []).append(alias)
    champion = record.aliases.get(CHAMPION, "")
    models = [
        Model(
            version=str(one.version),
            aliases=tuple(sorted(names.get(str(one.version), []))),
            data_version=one.tags.get("kshot.data_version", ""),
            accuracy={
                name: tuple(score) for name, score in json.loads(one.tags.get(registration.ACCURACY, "{}")).items()
            },
            decision=decision(one.tags, str(one.version), champion),
            registered_at=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
            run_id=str(one.run_id),
        )
        for one in found
    ]
    models.sort(key=lambda model: int(model.version))
    return Listing(tuple(models), tuple(filter(None, [record.trouble, *verify(record.events, record.aliases)])))


def decision(tags: dict[str, str], version: str, champion: str) -> str:
    """The decision about a version with these tags, and who made it, given the current `champion`."""
    word = tags.get("kshot.decision", "")
    by, _, rest = tags.get("kshot.decided_by", "").partition(" (")
    by += ", signed" if ", signed by " in rest else ""
    if word == "waiting":
        until = minute(tags["kshot.waiting_until"])
        stale = tags.get("kshot.compared_with", "") != champion
        return f"waiting for approval until {until}" + (", but the champion changed: judge it again" if stale else "")
    if word == "promoted":
        later = (
            f", then version {tags['kshot.replaced_by']}" if champion != version and "kshot.replaced_by" in tags else ""
        )
        return f"promoted by {by}{later}"
    if word in ("replaced", "rolled back"):
        return f"{word}, for version {tags.get('kshot.replaced_by', '')}"
    if word == "expired":
        return "rejected: nobody answered in time"
    return f"{word} by {by}" if word else "none"


def age(since: datetime, now: datetime) -> str:
    """The time since `since` in the largest unit that fits: 12 min, 5 h, 3 d."""
    minutes = int((now - since).total_seconds() // 60)
    if minutes < 60:
        return f"{max(minutes, 0)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
