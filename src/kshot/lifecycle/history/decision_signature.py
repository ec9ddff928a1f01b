"""Signatures of persons on their decisions: when one is required, how it is made, and whose it is."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from kshot.errors import RegistryError
from kshot.lifecycle.history.events import GATE_ACTIONS, PERSONAL, SIGNED, Event, signed_text
from kshot.lifecycle.project import git
from kshot.lifecycle.signatures import ssh_keygen
from kshot.lifecycle.signatures.allowed_signers import ALLOWED, committed_file
from kshot.lifecycle.signatures.signing_key import VARIABLE, SigningKey
from kshot.load_yaml import load_yaml

NAMESPACE = "kshot-decision"
VALID, MISSING, FOREIGN, INVALID, UNCHECKED = "valid", "missing", "foreign", "invalid", "not checked"


class Signature(NamedTuple):
    """The signature of a person's decision.

    state     one of:
              valid        of the person whom `allowed_signers` in the project's git names
              missing      none
              foreign      of a key that the file does not allow
              invalid      not a signature of this event
              not checked  ssh-keygen is not installed, or git cannot say whom the file names
    says      the same for a person
    required  whether it had to be signed
    """

    state: str
    says: str
    required: bool

    @property
    def fails(self) -> bool:
        """Whether the decision lacks a required signature by a person who may sign."""
        return self.required and self.state not in (VALID, UNCHECKED)


def setting(root: Path) -> str:
    """`signed` if gate.approval is, in the params.yaml here or in the checked-out commit, else ''.

    With the commit, because `--set gate.approval=automatic` would otherwise be enough to do without a signature. Only
    this value is read: a mistake elsewhere in the file must not prevent a rollback, and events say it too.
    """
    texts = []
    with contextlib.suppress(OSError, ValueError):
        texts.append((root / "params.yaml").read_text(encoding="utf-8"))
    with contextlib.suppress(git.GitFailed, ValueError):
        texts.append(git.text(root, "show", "HEAD:./params.yaml"))
    return SIGNED if SIGNED in map(_approval, texts) else ""


def _approval(params: str) -> str:
    try:
        return str(load_yaml(params)["gate"]["approval"])
    except (ValueError, LookupError, TypeError, yaml.YAMLError):
        return ""


def requires(before: Sequence[Event], version: str) -> str:
    """The event of the gate that requires signatures of the decisions after it about `version`, as text; '' for none.

    These count: the gate's last event about the version, and its last event about any. Setting gate.approval back
    thus takes effect when the gate judges again, and not for what it has judged.
    """
    judged = [event for event in before if event.action in GATE_ACTIONS]
    about = [event for event in judged if event.version == version]
    found = next((event for event in (*about[-1:], *judged[-1:]) if event.approval == SIGNED), None)
    return f"gate.approval was {SIGNED} at {found}" if found is not None else ""


def signed(root: Path, event: Event, before: Sequence[Event], key: SigningKey) -> Event:
    """The event with the person's signature, unless there is no key and none is required.

    Raises RegistryError if one is required and cannot be made, DataError for a key that may not sign, NoKeygen.
    """
    why = f"gate.approval is {SIGNED}" if event.approval == SIGNED else requires(before, event.version)
    file = key.given or (key.fallback if why else None)
    if file is None:
        if not why:
            return event
        raise RegistryError(
            f"a decision about version {event.version} must be signed ({why}): give --key FILE, an SSH key that "
            f"{ALLOWED} in the project's git names, or set {VARIABLE}"
        )
    with committed_file(root) as allowed:
        if allowed is None and why:
            raise RegistryError(
                f"a decision about version {event.version} must be signed ({why}), and the project's git has no file "
                f"{ALLOWED} that says who may: commit one (man ssh-keygen, ALLOWED SIGNERS)"
            )
        content = signed_text(event).encode()
        signature = ssh_keygen.sign(content, file, NAMESPACE)
        try:
            # At the event's time, as later checks do: it may be ahead of the clock.
            signer = ssh_keygen.signer(content, signature, allowed, NAMESPACE, when=event.when) if allowed else ""
        except ssh_keygen.Foreign as error:
            raise RegistryError(f"the key {file} may not sign: {error}; nothing was decided") from error
    return dataclasses.replace(event, signer=signer, signature=signature)


def signatures(root: Path, events: Sequence[Event]) -> dict[int, Signature]:
    """The signature of each decision of a person that has one or needs one, by the event's number.

    A key counts if it is valid at the event's time by the file that git has now, so a line is never to be deleted.
    """
    decisions = []
    for place, event in enumerate(events):
        if event.action in PERSONAL:
            required = event.approval == SIGNED or bool(requires(events[:place], event.version))
            if required or event.signature:
                decisions.append((event, required))
    if not decisions:
        return {}
    try:
        with committed_file(root) as allowed:
            return {event.number: Signature(*_state(event, allowed), required) for event, required in decisions}
    except git.GitFailed as error:
        unread = UNCHECKED, f"its signature could not be checked: {ALLOWED} cannot be read, because {error}"
        return {
            event.number: Signature(*(unread if event.signature else _state(event, None)), required)
            for event, required in decisions
        }


def _state(event: Event, allowed: Path | None) -> tuple[str, str]:
    if not event.signature:
        return MISSING, f"not signed, although gate.approval was {SIGNED}"
    try:
        if allowed is None:
            return FOREIGN, f"signed by a key that nobody names: the project's git has no {ALLOWED}"
        name, when = event.signer, event.when
        text = signed_text(event).encode()
        who = ssh_keygen.signer(text, event.signature, allowed, NAMESPACE, name=name, when=when)
    except ssh_keygen.Foreign as error:
        return FOREIGN, f"signed by a key that may not: {error}"
    except ssh_keygen.Invalid as error:
        return INVALID, f"its signature is not one of this event: {error}"
    except ssh_keygen.NoKeygen as error:
        return UNCHECKED, f"its signature could not be checked: {error}"
    return VALID, f"signed by {who}"
