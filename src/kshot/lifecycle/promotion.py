"""What a person decides about a version: promote, approve, reject, roll back. Each is an event of the history."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle import history, registry, store
from kshot.lifecycle.events import (
    APPROVED,
    CHAMPION,
    EXPIRED,
    PROMOTED_BY_HAND,
    REJECTED,
    ROLLED_BACK,
    Event,
    Proof,
    earlier_champions,
    minute,
    person,
    with_champion,
    without,
)
from kshot.lifecycle.files import exclusive
from kshot.lifecycle.registry import Registered

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST_REASON, LONGEST_NAME = 1000, 100  # characters
JUDGE_AGAIN = "run `kshot retrain` with its settings: it trains nothing and judges anew"


def promote(root: Path, name: str, reason: str, by: str = "") -> Event:
    """Make the version champion because a person says so, whatever the gate said.

    Raises RegistryError for an empty reason, a version that is unknown, serves already or is not whole, and one whose
    run failed; Overtaken where somebody else's decision came first.
    """
    why = _reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        if record.aliases.get(CHAMPION) == found.version:
            raise RegistryError(f"version {found.version} is the champion already; nothing is to be promoted")
        _require_sound(root, client, found)
        return history.append(
            client,
            record,
            action=PROMOTED_BY_HAND,
            version=found.version,
            after=with_champion(record.aliases, found.version),
            who=person(_name(by)),
            why=why,
            compared_with=record.aliases.get(CHAMPION, ""),
            rules=found.tags.get(registry.RULES, ""),
            proof=_proof(record, found.version),
        )

    return _decided(root, name, decide)


def approve(root: Path, name: str, reason: str = "", by: str = "") -> Event:
    """Let the gate's decision about a version that waits be carried out.

    Raises RegistryError for a version that does not wait, and where the champion is no longer the one that the
    evidence compares it with.
    """
    why = _reason(reason or "approved")

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        _require_waiting(client, found)
        champion, compared_with = record.aliases.get(CHAMPION, ""), found.tags.get("kshot.compared_with", "")
        if champion != compared_with:
            raise RegistryError(
                f"version {found.version} was compared with {registry.named(compared_with)}, and now there is "
                f"{registry.named(champion)}; {JUDGE_AGAIN}"
            )
        _require_sound(root, client, found)
        return history.append(
            client,
            record,
            action=APPROVED,
            version=found.version,
            after=with_champion(record.aliases, found.version),
            who=person(_name(by)),
            why=why,
            compared_with=compared_with,
            rules=found.tags.get(registry.RULES, ""),
            proof=_proof(record, found.version),
        )

    return _decided(root, name, decide)


def reject(root: Path, name: str, reason: str, by: str = "") -> Event:
    """Say that the version shall not be champion, whether it waits or not; it is challenger no longer.

    The gate does not promote it again; only `promote` does. Raises RegistryError for the champion.
    """
    why = _reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Event:
        if record.aliases.get(CHAMPION) == found.version:
            raise RegistryError(
                f"version {found.version} is the champion and cannot be rejected; go back with "
                "`kshot rollback --reason ...`, or promote another"
            )
        return history.append(
            client,
            record,
            action=REJECTED,
            version=found.version,
            after=without(record.aliases, found.version),
            who=person(_name(by)),
            why=why,
            compared_with=found.tags.get("kshot.compared_with", ""),
            rules=found.tags.get(registry.RULES, ""),
            proof=_proof(record, found.version),
        )

    return _decided(root, name, decide)


def rollback(root: Path, reason: str, to: str | None = None, by: str = "") -> Event:
    """Give the alias back to the champion before this one, or to an earlier one by name.

    The version that is left does not return by itself. Raises RegistryError where no champion came before, and for a
    version that never was champion.
    """
    why = _reason(reason)
    where = store.connect(root)
    with store.told(where), exclusive(root, "registry"):
        client = store.client()
        if not client.search_registered_models(f"name='{store.NAME}'"):
            raise RegistryError("no model is registered yet; `kshot retrain` makes and registers one")
        record, _ = history.settled(client, root, where)
        version = _earlier(root, record, to)
        registry.require_whole(root, version)
        return history.append(
            client,
            record,
            action=ROLLED_BACK,
            version=version,
            after=with_champion(record.aliases, version),
            who=person(_name(by)),
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


def _proof(record: history.Record, version: str) -> Proof | None:
    """The evidence that the gate judged the version by last."""
    return next((one.proof for one in reversed(record.events) if one.version == version and one.proof), None)


def _overdue(client: "MlflowClient") -> list[Registered]:
    now = datetime.now(UTC)
    waiting = registry.waiting(client)
    return [one for one in waiting if datetime.fromisoformat(one.tags["kshot.waiting_until"]) < now]


def _require_waiting(client: "MlflowClient", found: Registered) -> None:
    decision = found.tags.get("kshot.decision")
    if decision == "waiting":
        until = found.tags["kshot.waiting_until"]
        if datetime.fromisoformat(until) < datetime.now(UTC):
            raise RegistryError(
                f"version {found.version} is rejected: nobody answered until {minute(until)}; "
                "`kshot promote` makes it champion all the same"
            )
        return
    stands = f"its decision is: {decision}" if decision else "nobody has decided about it"
    others = [one.version for one in registry.waiting(client)]
    now = f"waiting: {', '.join(others)}" if others else "none does now"
    raise RegistryError(
        f"version {found.version} does not wait for approval, {stands} ({now}); "
        "`kshot promote` makes it champion all the same"
    )


def _require_sound(root: Path, client: "MlflowClient", found: Registered) -> None:
    """Raise RegistryError unless the run of the version ended well and its model can be had."""
    from mlflow.exceptions import MlflowException

    try:
        status = client.get_run(found.run_id).info.status
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        status = "GONE"
    if status in ("FAILED", "KILLED", "GONE"):
        raise RegistryError(
            f"run {found.run_id} of version {found.version} is {status.lower()}, so that its record may not be whole; "
            f"{JUDGE_AGAIN}, or choose another version"
        )
    registry.require_whole(root, found.version)


def _earlier(root: Path, record: history.Record, to: str | None) -> str:
    line = earlier_champions(record.events)
    now = record.aliases.get(CHAMPION)
    if to is not None:
        version = registry.find(root, to).version
        ever = {event.after.get(CHAMPION) for event in record.events}
        if version == now:
            raise RegistryError(f"version {version} is the champion already; nothing is to be rolled back")
        if version not in ever:
            known = f"champions before were {', '.join(line)}" if line else "there was no other champion"
            raise RegistryError(
                f"version {version} never was champion ({known}); `kshot promote {version}` makes it one"
            )
        return version
    if not line:
        what = f"version {now} is the first champion" if now else "there is no champion"
        raise RegistryError(f"{what}, so there is none to go back to; `kshot promote VERSION` chooses any other")
    return registry.find(root, line[0]).version


def _reason(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise RegistryError("the reason is empty; say why in a few words: --reason 'false accepts in the field'")
    if len(text) > LONGEST_REASON:
        raise RegistryError(f"the reason has {len(text):,} characters; needs at most {LONGEST_REASON:,}: shorten it")
    return text


def _name(by: str) -> str:
    text = " ".join(by.split())
    if len(text) > LONGEST_NAME:
        raise RegistryError(f"the name has {len(text):,} characters; needs at most {LONGEST_NAME}: shorten it")
    return text
