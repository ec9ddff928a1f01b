"""The receipt of an erasure: hashes and not names, so that it can be handed to whoever asked for it.

With a key it is signed: whoever has the public key checks it with `ssh-keygen -Y verify`, without kshot.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.forget.intent import Intent
from kshot.lifecycle.forget.run_files import TrainedOn
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.signatures import ssh_keygen
from kshot.lifecycle.signatures.allowed_signers import committed_file
from kshot.params import project_name

NAMESPACE = "kshot-erasure"
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


def sign(root: Path, path: Path, key: Path) -> str:
    """Sign the receipt into PATH.sig; return the signer's name in the project's `allowed_signers`, '' without one."""
    signature, signer = _signed(root, path.read_bytes(), key)
    write_text(Path(f"{path}.sig"), signature)
    return signer


def require_able(root: Path, key: Path) -> None:
    """Raise DataError for a key that is missing, cannot sign or may not sign, before anything is forgotten."""
    _signed(root, b"", key)


def _signed(root: Path, content: bytes, key: Path) -> tuple[str, str]:
    signature = ssh_keygen.sign(content, key, NAMESPACE)
    with committed_file(root) as allowed:
        try:
            return signature, ssh_keygen.signer(content, signature, allowed, NAMESPACE) if allowed else ""
        except ssh_keygen.Foreign as error:
            raise DataError(f"the key {key} may not sign the receipt: {error}") from error


def _shown(event: Event | None) -> dict[str, object] | None:
    return None if event is None else {"number": event.number, "hash": event.hash}
