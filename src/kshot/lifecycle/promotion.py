"""What a person decides about a version: promote, approve, reject, roll back. Each is an event of the history."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle import history, promotion_checks, registry, store
from kshot.lifecycle.events import (
    APPROVED,
    CHAMPION,
    EXPIRED,
    PROMOTED_BY_HAND,
    REJECTED,
    ROLLED_BACK,
    Event,
    Proof,
    minute,
    person,
    with_champion,
    without,
)
from kshot.lifecycle.files import exclusive
from kshot.lifecycle.registry import Registered

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(root: Path, name: str, reason: str, by: str = "", *, allow_unrecorded: bool = False) -> Event:
    """Make the version champion because a person says so, whatever the gate said.

    Raises RegistryError for an empty reason, a version that is unknown, serves already or is not whole, one whose run
    failed, and, unless `allow_unrecorded`, one without a commit; Overtaken where somebody else's decision came first.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        if record.aliases.get(CHAMPION) == found.version:
            raise RegistryError(f"version {found.version} is the champion already; nothing is to be promoted")
        if not allow_unrecorded:
            registry.require_recorded(found)
        promotion_checks.require_sound(root, client, found)
        after = with_champion(record.aliases, found.version)
        return _append(root, client, record, PROMOTED_BY_HAND, found, after, by, why, record.aliases.get(CHAMPION, ""))

    return _decided(root, name, decide)


def approve(root: Path, name: str, reason: str = "", by: str = "") -> Event:
    """Let the gate's decision about a version that waits be carried out.

    Raises RegistryError for a version that does not wait or has no commit, and where the champion is no longer the
    one that the evidence compares it with.
    """
    why = promotion_checks.reason(reason or "approved")

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        promotion_checks.require_waiting(client, found)
        registry.require_recorded(found)
        champion, compared_with = record.aliases.get(CHAMPION, ""), found.tags.get("kshot.compared_with", "")
        if champion != compared_with:
            raise RegistryError(
                f"version {found.version} was compared with {registry.named(compared_with)}, and now there is "
                f"{registry.named(champion)}; {promotion_checks.JUDGE_AGAIN}"
            )
        promotion_checks.require_sound(root, client, found)
        after = with_champion(record.aliases, found.version)
        return _append(root, client, record, APPROVED, found, after, by, why, compared_with)

    return _decided(root, name, decide)


def reject(root: Path, name: str, reason: str, by: str = "") -> Event:
    """Say that the version shall not be champion, whether it waits or not; it is challenger no longer.

    The gate does not promote it again; only `promote` does. Raises RegistryError for the champion.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        if record.aliases.get(CHAMPION) == found.version:
            raise RegistryError(
                f"version {found.version} is the champion and cannot be rejected; go back with "
                "`kshot rollback --reason ...`, or promote another"
            )
        after, compared_with = without(record.aliases, found.version), found.tags.get("kshot.compared_with", "")
        return _append(root, client, record, REJECTED, found, after, by, why, compared_with)

    return _decided(root, name, decide)


def rollback(root: Path, reason: str, to: str | None = None, by: str = "") -> Event:
    """Give the alias back to the champion before this one, or to an earlier one by name.

    The version that is left does not return by itself. Raises RegistryError where no champion came before, and for a
    version that never was champion.
    """
    why = promotion_checks.reason(reason)
    where = store.connect(root)
    with store.told(where), exclusive(root, "registry"):
        client = store.client()
        if not client.search_registered_models(f"name='{store.NAME}'"):
            raise RegistryError("no model is registered yet; `kshot retrain` makes and registers one")
        record, _ = history.settled(client, root, where)
        version = promotion_checks.earlier(root, record, to)
        registry.require_whole(root, version)
        return history.append(
            root,
            client,
            record,
            action=ROLLED_BACK,
            version=version,
            after=with_champion(record.aliases, version),
            who=person(promotion_checks.name(by)),
            why=why,
            compared_with=record.aliases.get(CHAMPION, ""),
            proof=_proof(record, version),
        )


def catch_up(root: Path) -> tuple[str, ...]:
    """Finish what a crash left, keep what was moved outside kshot, answer what nobody answered in time.

    Returns a sentence for each; none, and nothing is written or waited for, where all is in order.
    """
    where = store.connect(root)
    with store.told(where):
        client = store.client()
        if history.read(client).stands and not _overdue(client):
            return ()
        with exclusive(root, "registry"):
            record, said = history.settled(client, root, where)
            for version in _overdue(client):
                until = minute(version.tags["kshot.waiting_until"])
                event = history.append(
                    root,
                    client,
                    record,
                    action=EXPIRED,
                    version=version.version,
                    after=without(record.aliases, version.version),
                    who=person(),
                    why=f"nobody answered until {until}",
                    compared_with=version.tags.get("kshot.compared_with", ""),
                    rules=version.tags.get(registry.RULES, ""),
                )
                said += (f"version {version.version} is rejected: {event.why}",)
                record = history.read(client)
    return said


def _decided(root: Path, name: str, decide: Callable[["MlflowClient", history.Record, Registered], Event]) -> Event:
    where = store.connect(root)
    with store.told(where), exclusive(root, "registry"):
        registry.find(root, name)  # an unknown one is told before anything is written
        record, _ = history.settled(store.client(), root, where)
        return decide(store.client(), record, registry.find(root, name))


def _append(
    root: Path,
    client: "MlflowClient",
    record: history.Record,
    action: str,
    found: Registered,
    after: dict[str, str],
    by: str,
    why: str,
    compared_with: str,
) -> Event:
    return history.append(
        root,
        client,
        record,
        action=action,
        version=found.version,
        after=after,
        who=person(promotion_checks.name(by)),
        why=why,
        compared_with=compared_with,
        rules=found.tags.get(registry.RULES, ""),
        proof=_proof(record, found.version),
    )


def _proof(record: history.Record, version: str) -> Proof | None:
    """The evidence that the gate judged the version by last."""
    return next((one.proof for one in reversed(record.events) if one.version == version and one.proof), None)


def _overdue(client: "MlflowClient") -> list[Registered]:
    now = datetime.now(UTC)
    waiting = registry.waiting(client)
    return [one for one in waiting if datetime.fromisoformat(one.tags["kshot.waiting_until"]) < now]
