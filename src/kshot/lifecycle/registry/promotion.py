"""A person's decisions about a version: promote, approve, reject, roll back. Each is an event of the history.

Repeating a killed command finishes its event and does not write a second one (`acts`). `tell` is called with the event
before the act's note is deleted: a decision that the person has not been told about yet counts as not done.

`key` signs the decision (`decision_signature`). Each function also raises RegistryError if gate.approval is `signed`
and there is no key that may sign, and NoKeygen without ssh-keygen; then nothing is written.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kshot.errors import KshotError, RegistryError
from kshot.lifecycle.history import anchor, decision_signature, history
from kshot.lifecycle.history.champions import was_given_outside
from kshot.lifecycle.history.events import (
    APPROVED,
    CHAMPION,
    EXPIRED,
    PROMOTED_BY_HAND,
    REJECTED,
    ROLLED_BACK,
    Event,
    EvidenceFile,
    minute,
    person,
    with_champion,
    without,
)
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import acts, model_versions, promotion_checks
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.signatures.signing_key import NO_KEY, SigningKey
from kshot.lifecycle.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

Tell = Callable[[Event], object]


def silent(event: Event) -> None:
    """Tell nobody: the caller reports the event."""


class Asked(NamedTuple):
    """A person's request.

    action  the event's action
    why     the reason, on one line
    by      the name given
    key     what they sign with
    tell    how to report the event to them
    """

    action: str
    why: str
    by: str
    key: SigningKey
    tell: Tell


class Decision(NamedTuple):
    """What to write: the version that the event is about, the aliases after it, the champion it was compared with."""

    found: Registered
    after: dict[str, str]
    compared_with: str


def promote(
    root: Path,
    name: str,
    reason: str,
    by: str = "",
    *,
    allow_unrecorded: bool = False,
    key: SigningKey = NO_KEY,
    tell: Tell = silent,
) -> Event:
    """Make the version champion on a person's request, whatever the gate decided.

    Raises RegistryError for an empty reason; for a version that is unknown, is champion already or is not whole; for
    one whose run failed; and, unless `allow_unrecorded`, for one without a commit. Raises Overtaken if another
    decision was recorded first.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Decision:
        is_champion = record.aliases.get(CHAMPION) == found.version
        if is_champion and not was_given_outside(record.events, found.version):
            raise RegistryError(f"version {found.version} is the champion already; nothing is to be promoted")
        if not allow_unrecorded:
            model_versions.require_recorded(found)
        promotion_checks.require_sound(root, client, found)
        after = with_champion(record.aliases, found.version)
        return Decision(found, after, record.aliases.get(CHAMPION, ""))

    return _decided(root, name, Asked(PROMOTED_BY_HAND, why, by, key, tell), decide)


def approve(
    root: Path, name: str, reason: str = "", by: str = "", *, key: SigningKey = NO_KEY, tell: Tell = silent
) -> Event:
    """Carry out the gate's decision about a waiting version.

    Raises RegistryError for a version that does not wait or has no commit, and if the champion is no longer the one
    that the evidence compares it with.
    """
    why = promotion_checks.reason(reason or "approved")

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Decision:
        promotion_checks.require_waiting(root, client, found)
        model_versions.require_recorded(found)
        champion, compared_with = record.aliases.get(CHAMPION, ""), found.tags.get("kshot.compared_with", "")
        if champion != compared_with:
            raise RegistryError(
                f"version {found.version} was compared with {model_versions.named(compared_with)}, and now there is "
                f"{model_versions.named(champion)}; {promotion_checks.JUDGE_AGAIN}"
            )
        promotion_checks.require_sound(root, client, found)
        after = with_champion(record.aliases, found.version)
        return Decision(found, after, compared_with)

    return _decided(root, name, Asked(APPROVED, why, by, key, tell), decide)


def reject(root: Path, name: str, reason: str, by: str = "", *, key: SigningKey = NO_KEY, tell: Tell = silent) -> Event:
    """Decide that the version shall not be champion, whether it waits or not; it stops being challenger.

    The gate does not promote it again; only `promote` does. Raises RegistryError for the champion.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, found: Registered) -> Decision:
        if record.aliases.get(CHAMPION) == found.version:
            raise RegistryError(
                f"version {found.version} is the champion and cannot be rejected; go back with "
                "`kshot rollback --reason ...`, or promote another"
            )
        after, compared_with = without(record.aliases, found.version), found.tags.get("kshot.compared_with", "")
        return Decision(found, after, compared_with)

    return _decided(root, name, Asked(REJECTED, why, by, key, tell), decide)


def rollback(
    root: Path, reason: str, to: str | None = None, by: str = "", *, key: SigningKey = NO_KEY, tell: Tell = silent
) -> Event:
    """Give the alias champion back to the previous champion, or to an earlier one by name.

    The version that is rolled back does not return by itself. Raises RegistryError if there is no earlier champion,
    and for a version that never was champion.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, _: Registered | None) -> Decision:
        found = model_versions.find(root, promotion_checks.earlier(root, record, to))
        model_versions.require_whole(root, found.version)
        return Decision(found, with_champion(record.aliases, found.version), record.aliases.get(CHAMPION, ""))

    return _decided(root, to, Asked(ROLLED_BACK, why, by, key, tell), decide)


def catch_up(root: Path) -> tuple[str, ...]:
    """Finish what a crash left, record aliases moved outside kshot, and expire decisions that nobody made in time.

    Returns one sentence for each. If all is in order, it returns none, writes nothing and waits for nothing.
    """
    where = store.connect(root)
    with store.translated_errors(where):
        client = store.client()
        record = history.read(client, root)
        if record.stands and not _overdue(client, root) and not anchor.behind(root, record.run_id, record.events):
            return ()
        with exclusive(root, "registry"):
            record, said, _ = history.reconcile(client, root, where)
            for version in _overdue(client, root):
                until = minute(version.tags["kshot.waiting_until"])
                after = without(record.aliases, version.version)
                if record.aliases.get(CHAMPION) == version.version:
                    after[CHAMPION] = version.version  # moved to it outside kshot: production must not lose its model
                event = history.append(
                    root,
                    client,
                    record,
                    action=EXPIRED,
                    version=version.version,
                    after=after,
                    who=person(),
                    why=f"nobody answered until {until}",
                    compared_with=version.tags.get("kshot.compared_with", ""),
                    rules=version.tags.get(model_versions.RULES, ""),
                )
                said += (f"version {version.version} is rejected: {event.why}",)
                record = history.read(client, root)
    return said


def _decided(
    root: Path, name: str | None, asked: Asked, decide: Callable[["MlflowClient", history.Record, Any], Decision]
) -> Event:
    """Write what `decide` returns for version `name` as an event, unless the same command, killed, already did."""
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        client = store.client()
        who, named = person(promotion_checks.name(asked.by)), name or ""
        version = acts.version_of(root, asked.action, named, asked.why, who) or _asked_for(root, client, name)
        record, _, finished = history.reconcile(client, root, where)
        act = acts.Act(asked.action, named, version, asked.why, who)
        event = acts.repeated(root, act, record.events, finished)
        if event is None:
            found = model_versions.find(root, version) if version else None
            event = _append(client, root, record, act, decide(client, record, found), asked.key)
    asked.tell(event)
    acts.end(root)
    return event


def _asked_for(root: Path, client: "MlflowClient", name: str | None) -> str:
    """The number of the named version, '' if none is named. Raises RegistryError for an unknown one.

    An alias that a killed command has already moved means the version it pointed to when the command was given.
    """
    if name is None:
        model_versions.require_any(client, root)
        return ""
    last = history.read(client, root).last
    if last is not None and not last.done and name in last.before:
        return last.before[name]
    return model_versions.find(root, name).version


def _append(
    client: "MlflowClient",
    root: Path,
    record: history.Record,
    act: acts.Act,
    decision: Decision,
    key: SigningKey,
) -> Event:
    found = decision.found
    mark = acts.begin(root, act)

    def sign(event: Event) -> Event:
        try:
            return decision_signature.signed(root, event, record.events, key)
        except KshotError:
            acts.end(root)  # nothing will be written
            raise

    rolled_back = act.action == ROLLED_BACK
    return history.append(
        root,
        client,
        record,
        action=act.action,
        version=found.version,
        after=decision.after,
        who=act.who,
        why=act.why,
        compared_with=decision.compared_with,
        rules="" if rolled_back else found.tags.get(model_versions.RULES, ""),
        proof=_evidence_file(record, found.version),
        mark=mark,
        approval=decision_signature.setting(root),
        sign=sign,
    )


def _evidence_file(record: history.Record, version: str) -> EvidenceFile | None:
    """The evidence of the gate's last judgement of the version."""
    return next((one.proof for one in reversed(record.events) if one.version == version and one.proof), None)


def _overdue(client: "MlflowClient", root: Path) -> list[Registered]:
    now = datetime.now(UTC)
    waiting = model_versions.waiting(client, root)
    return [one for one in waiting if datetime.fromisoformat(one.tags["kshot.waiting_until"]) < now]
