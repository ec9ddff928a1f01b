"""verify.py checks the signatures of persons on their decisions, from the folder and the signers alone."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kshot.errors import AuditFailed
from kshot.lifecycle.evidence import attestation, verify
from tests.lifecycle import audited_project, signed_approval
from tests.lifecycle.ssh_keys import ADA, commit_signers, line, new_key

APPROVAL = "signed/0004.json"


@pytest.fixture(scope="module")
def approved(made: Path, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project after a signed approval; `attested` beside the scratch folder is its attestation, unsigned."""
    scratch = tmp_path_factory.mktemp("undo")
    with audited_project.undone(made, scratch), signed_approval.head_undone(made):
        signed_approval.make(made, key, line(key))
        yield made


@pytest.fixture(scope="module")
def attested(approved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attested") / "evidence"
    attestation.attest(approved, "1", folder)
    return folder


@pytest.fixture
def folder(attested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(attested, tmp_path / "evidence")


def persons(folder: Path, allowed: Path | None) -> tuple[str, str]:
    found = verify.checks(verify.Folder(folder), verify.Given(allowed=allowed))
    return next((state, text) for name, state, text in found if name == "persons")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the approval and rewrite what follows from it: its hash, what was signed, and the manifest."""
    *before, last = (folder / "events.jsonl").read_text().splitlines()
    event = json.loads(last)
    change(event)
    content = {key: value for key, value in event.items() if key != "hash"}
    event["hash"] = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    (folder / "events.jsonl").write_text("\n".join([*before, json.dumps(event, ensure_ascii=False)]) + "\n")
    signed = {key: value for key, value in content.items() if key not in ("signer", "signature")}
    (folder / APPROVAL).write_text(json.dumps(signed, sort_keys=True, ensure_ascii=False))
    (folder / f"{APPROVAL}.sig").write_text(event.get("signature", ""))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["head"]["hash"] = event["hash"]
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(manifest["files"])
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_signer_of_an_approval_is_named_and_other_tools_agree(folder: Path, signers: Path) -> None:
    assert persons(folder, signers) == (
        verify.OK,
        f"event 4 (approved) signed by {ADA}, by the keys in allowed_signers",
    )
    state, text = persons(folder, None)
    assert state == verify.OPEN and "event 4 (approved) has a valid signature, of a key that nobody vouches" in text
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", ADA, "-n", "kshot-decision"]
    with (folder / APPROVAL).open() as content:
        subprocess.run([*command, "-s", f"{folder / APPROVAL}.sig"], stdin=content, check=True, capture_output=True)
    assert f"(signed by {ADA})" in (folder / "card.md").read_text()


def test_a_flipped_signature_is_named(folder: Path, signers: Path) -> None:
    audited_project.flip(folder / f"{APPROVAL}.sig", 100)
    assert persons(folder, signers) == (
        verify.FAILED,
        f"events.jsonl: event 4 (approved) is not what {APPROVAL}.sig says",
    )


def flipped(event: dict[str, Any]) -> None:
    lines = event["signature"].splitlines()
    middle = lines[4]
    lines[4] = ("A" if middle[10] != "A" else "B").join((middle[:10], middle[11:]))
    event["signature"] = "\n".join(lines) + "\n"


def unsigned(event: dict[str, Any]) -> None:
    del event["signature"], event["signer"]


def of_another_event(event: dict[str, Any]) -> None:
    event["why"] = "another reason"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (flipped, "it is not a signature of this event"),
        (of_another_event, "it is not a signature of this event"),
        (unsigned, "is not signed, although gate.approval was signed"),
    ],
)
def test_a_consistently_rewritten_approval_is_named(
    folder: Path, signers: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    rewrite(folder, change)
    for allowed in (signers, None):
        state, text = persons(folder, allowed)
        assert state == verify.FAILED and text.startswith("events.jsonl: event 4 (approved)") and told in text


def test_the_key_of_a_stranger_is_named(folder: Path, tmp_path: Path, signers: Path) -> None:
    eve, content = new_key(tmp_path / "eve"), folder / APPROVAL
    command = ["ssh-keygen", "-Y", "sign", "-f", str(eve), "-n", "kshot-decision"]
    ended = subprocess.run(command, input=content.read_bytes(), check=True, capture_output=True)
    rewrite(folder, lambda event: event.update(signature=ended.stdout.decode()))
    state, text = persons(folder, signers)
    assert state == verify.FAILED and f"its key is not in {signers}, or its time is over" in text
    named = tmp_path / "named"
    named.write_text(line(eve, "eve@example.org"))
    assert persons(folder, named)[0] == verify.FAILED  # the event says that it was Ada


def test_a_version_whose_approver_may_not_sign_is_not_attested(approved: Path, key: Path, tmp_path: Path) -> None:
    commit_signers(approved, line(new_key(tmp_path / "eve")))
    with pytest.raises(AuditFailed, match="its decision is BROKEN: .* had to be signed"):
        attestation.attest(approved, "1", tmp_path / "evidence")
    commit_signers(approved, line(key))
