"""A person's decisions about a version: promote, approve, reject, roll back. Each is an event of the history.

`key` signs the decision (`decision_signature`), and `report` reports the event (`person_decision`). Each function also
raises RegistryError if gate.approval is `signed` and there is no key that may sign, and NoKeygen without ssh-keygen;
then nothing is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history import history
from kshot.lifecycle.history.champions import was_given_outside
from kshot.lifecycle.history.events import (
    APPROVED,
    CHAMPION,
    PROMOTED_BY_HAND,
    REJECTED,
    ROLLED_BACK,
    Event,
    with_champion,
    without,
)
from kshot.lifecycle.registry import model_versions, promotion_checks, registered_files
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.registry.person_decision import Decision, Report, Request, decided, silent
from kshot.lifecycle.signatures.signing_key import NO_KEY, SigningKey

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(
    root: Path,
    name: str,
    reason: str,
    by: str = "",
    *,
    allow_unrecorded: bool = False,
    key: SigningKey = NO_KEY,
    report: Report = silent,
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

    return decided(root, name, Request(PROMOTED_BY_HAND, why, by, key, report), decide)


def approve(
    root: Path, name: str, reason: str = "", by: str = "", *, key: SigningKey = NO_KEY, report: Report = silent
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

    return decided(root, name, Request(APPROVED, why, by, key, report), decide)


def reject(
    root: Path, name: str, reason: str, by: str = "", *, key: SigningKey = NO_KEY, report: Report = silent
) -> Event:
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

    return decided(root, name, Request(REJECTED, why, by, key, report), decide)


def rollback(
    root: Path, reason: str, to: str | None = None, by: str = "", *, key: SigningKey = NO_KEY, report: Report = silent
) -> Event:
    """Give the alias champion back to the previous champion, or to an earlier one by name.

    The version that is rolled back does not return by itself. Raises RegistryError if there is no earlier champion,
    and for a version that never was champion.
    """
    why = promotion_checks.reason(reason)

    def decide(client: "MlflowClient", record: history.Record, _: Registered | None) -> Decision:
        found = model_versions.find(root, promotion_checks.earlier(root, record, to))
        registered_files.require_whole(root, found.version)
        return Decision(found, with_champion(record.aliases, found.version), record.aliases.get(CHAMPION, ""))

    return decided(root, to, Request(ROLLED_BACK, why, by, key, report), decide)
