"""Checks that a person's decision must pass before anything is written."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history import history
from kshot.lifecycle.history.champions import earlier_champions
from kshot.lifecycle.history.events import CHAMPION, minute
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.registry.model_versions import Registered

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST_REASON, LONGEST_NAME = 1000, 100  # characters
JUDGE_AGAIN = "run `kshot retrain` with its settings: it trains nothing and judges again"


def require_waiting(root: Path, client: "MlflowClient", found: Registered) -> None:
    """Raise RegistryError unless the version waits for approval and its time has not run out."""
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
    others = [one.version for one in model_versions.waiting(client, root)]
    now = f"waiting: {', '.join(others)}" if others else "none does now"
    if history.aliases(root).get(CHAMPION) == found.version:
        raise RegistryError(f"version {found.version} is champion already and does not wait for approval ({now})")
    raise RegistryError(
        f"version {found.version} does not wait for approval, {stands} ({now}); "
        "`kshot promote` makes it champion all the same"
    )


def require_sound(root: Path, client: "MlflowClient", found: Registered) -> None:
    """Raise RegistryError unless the version's run ended well and its model can be loaded."""
    from mlflow.exceptions import MlflowException

    try:
        status = client.get_run(found.run_id).info.status
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        status = "GONE"
    if status in ("FAILED", "KILLED", "GONE"):
        raise RegistryError(
            f"run {found.run_id} of version {found.version} is {status.lower()}, so its record may be incomplete; "
            f"{JUDGE_AGAIN}, or choose another version"
        )
    registered_files.require_whole(root, found.version)


def earlier(root: Path, record: history.Record, to: str | None) -> str:
    """The earlier champion to go back to: `to` if given, else the previous one. Raises RegistryError if none."""
    line = earlier_champions(record.events)
    now = record.aliases.get(CHAMPION)
    if to is not None:
        version = model_versions.find(root, to).version
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
    return model_versions.find(root, line[0]).version


def reason(text: str) -> str:
    """The reason on one line. Raises RegistryError for an empty reason, and for one too long for an event."""
    text = " ".join(text.split())
    if not text:
        raise RegistryError("the reason is empty; say why in a few words: --reason 'false accepts in the field'")
    if len(text) > LONGEST_REASON:
        raise RegistryError(f"the reason has {len(text):,} characters; needs at most {LONGEST_REASON:,}: shorten it")
    return text


def name(by: str) -> str:
    """The given name on one line; '' for none. Raises RegistryError for one too long for an event."""
    text = " ".join(by.split())
    if len(text) > LONGEST_NAME:
        raise RegistryError(f"the name has {len(text):,} characters; needs at most {LONGEST_NAME}: shorten it")
    return text
