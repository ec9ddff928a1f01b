"""Events of the promotion history: every move of an alias is an event that names the previous one by its hash."""

import dataclasses
import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

CHAMPION, CHALLENGER = "champion", "challenger"

# Possible actions. The gate promotes, refuses or sets waiting; a person does the rest, except that waiting can expire.
PROMOTED, REFUSED, WAITING = "promoted", "refused", "waiting"
APPROVED, REJECTED, EXPIRED = "approved", "rejected", "expired"
PROMOTED_BY_HAND, ROLLED_BACK, MOVED_OUTSIDE = "promoted by hand", "rolled back", "moved outside kshot"
GATE_ACTIONS = (PROMOTED, REFUSED, WAITING)
PERSONAL = (APPROVED, REJECTED, PROMOTED_BY_HAND, ROLLED_BACK)
SIGNED: Final = "signed"  # value of gate.approval, and of an event that was written under it
# Fields that are serialized only where they say something: events written before they existed keep their hash.
OPTIONAL = ("manifest", "clock", "approval", "signer", "signature")
ERASED = "images erased"  # about no version: it seals an erasure of data/erasures.jsonl and moves no alias
NO_DECISION = (MOVED_OUTSIDE, ERASED)  # actions that decide about no version
PATIENCE_S = 120.0  # what another machine began earlier and did not finish was left by a crash


@dataclass(frozen=True)
class Person:
    """Who made the decision: the name given (default: the user's), the operating system's user and the machine."""

    name: str
    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.name} ({self.user}@{self.host})"


@dataclass(frozen=True)
class EvidenceFile:
    """The file with evidence, rules and decision (an artifact of the version's run) and its sha256."""

    run_id: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Event:
    """One decision about `version`, with the aliases before and after it.

    number         1 for the first
    when           ISO 8601 in UTC, to the microsecond; later than the previous event's
    before, after  alias to version
    process        process id of the process that wrote it, on the machine of `who`
    compared_with  the champion that the evidence compares with, '' for none
    rules          hash of the gate's rules, '' if no rules were applied
    until          when a waiting decision expires, '' for others
    mark           random, so that no two events have the same text
    clock          the machine's clock if it was behind the previous event, else ''
    previous       hash of the previous event, '' for the first
    manifest       sha256 of the manifest of the version's model, '' for a model without one
    approval       `signed` if gate.approval was, so that a person's decision must be signed, else ''
    signer         the name that `allowed_signers` gave the key of `signature`, '' if it named none
    signature      armored SSH signature over `signed_text`, '' for none
    hash           sha256 of all of the above; set by `seal`
    done           whether aliases and tags are known to have been updated; not part of the hash
    """

    number: int
    when: str
    action: str
    version: str
    before: dict[str, str]
    after: dict[str, str]
    who: Person
    process: int
    why: str
    compared_with: str
    rules: str
    until: str
    proof: EvidenceFile | None
    mark: str
    previous: str
    manifest: str = ""
    hash: str = ""
    clock: str = ""
    approval: str = ""
    signer: str = ""
    signature: str = ""
    done: bool = True

    def __str__(self) -> str:
        return f"event {self.number} ({self.what} by {self.who}, {minute(self.when)})"

    @property
    def what(self) -> str:
        """Describe what happened."""
        if self.action == MOVED_OUTSIDE:
            return "aliases moved outside kshot, found"
        if self.action == ERASED:
            return self.action
        if self.action == ROLLED_BACK:
            return f"rolled back to version {self.version}"
        return f"version {self.version} {'set waiting' if self.action == WAITING else self.action}"

    @property
    def by(self) -> str:
        """Who decided, and whose signature the event says it has."""
        signed = f", signed by {self.signer or 'a key without a name'}" if self.signature else ""
        return f"{self.who}{signed}"


def person(name: str = "") -> Person:
    """The person at this machine; `name` overrides the user's name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container's user without a passwd entry
    return Person(name.strip() or user, user, socket.gethostname())


def may_be_writing(host: str, process: int, since: str) -> bool:
    """Whether a process that wrote its name `since` may go on: alive on this machine, or recent on another."""
    import psutil

    if host == socket.gethostname() and (process == os.getpid() or not psutil.pid_exists(process)):
        return False
    return abs((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()) < PATIENCE_S


def seal(event: Event) -> Event:
    """The event with its hash."""
    return dataclasses.replace(event, hash=digest(event))


def to_text(event: Event) -> str:
    """Serialize the event to the JSON that is stored."""
    return json.dumps({**_content(event), "hash": event.hash}, ensure_ascii=False)


def signed_text(event: Event) -> str:
    """The text that a person signs: every field but the signature, the signer's name and the hash, in a fixed order.

    It contains the hash of the previous event, so that it is of no use anywhere else.
    """
    content = {key: value for key, value in _content(event).items() if key not in ("signer", "signature")}
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def from_text(text: str, done: bool = True) -> Event:
    """Parse the output of `to_text`. Raises ValueError for text that is not an event."""
    try:
        content: dict[str, Any] = json.loads(text)
        proof = content.pop("proof")
        who = Person(**content.pop("who"))
        return Event(**content, who=who, proof=None if proof is None else EvidenceFile(**proof), done=done)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{text[:80]!r} is no event: {error}") from error


def later_than(last: Event | None, now: datetime) -> tuple[str, str]:
    """The time of the event after `last`, and the clock's time if it is behind `last`, else ''."""
    before = datetime.fromisoformat(last.when) if last else None
    if before is None or now > before:
        return now.isoformat(timespec="microseconds"), ""
    after = before + timedelta(microseconds=1)
    return after.isoformat(timespec="microseconds"), now.isoformat(timespec="microseconds")


def with_champion(aliases: Mapping[str, str], version: str) -> dict[str, str]:
    """The aliases after `version` becomes champion; it stops being challenger."""
    return {**without(aliases, version), CHAMPION: version}


def without(aliases: Mapping[str, str], version: str) -> dict[str, str]:
    """The aliases that do not point to `version`."""
    return {alias: held for alias, held in aliases.items() if held != version}


def minute(moment: str) -> str:
    """A time in readable form, 2026-01-31 17:05 UTC."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _content(event: Event) -> dict[str, Any]:
    content = dataclasses.asdict(event)
    del content["hash"], content["done"]
    return {key: value for key, value in content.items() if value or key not in OPTIONAL}


def digest(event: Event) -> str:
    return hashlib.sha256(json.dumps(_content(event), sort_keys=True, ensure_ascii=False).encode()).hexdigest()
