"""With gate.approval: signed, a person's decision needs a key that the project's git allows; else nothing changes."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kshot import cli
from kshot.errors import KshotError, RegistryError
from kshot.lifecycle.history import anchor, append_event, decision_signature, event_chain, events, history
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project import git
from kshot.lifecycle.registry import gate_decision, listing, model_versions, promotion
from kshot.lifecycle.signatures import ssh_keygen
from kshot.lifecycle.signatures.signing_key import SigningKey
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement
from tests.lifecycle.ssh_keys import ADA, certify, commit_signers, line, new_key

RULES = "rules"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys ada, who may sign, and eve, who may not."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "eve"):
        new_key(folder / name)
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion, version 2 waits, both judged under gate.approval: signed."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"))
    approve_by(root, "signed")
    gate(root, "1", "automatic")
    gate(root, "2", "signed")
    return root


@pytest.fixture
def root(template: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("KSHOT_SIGNING_KEY", raising=False)
    found = registered_versions.copy(template, tmp_path / "project")
    commit_signers(found, line(keys / "ada"))
    return found


def approve_by(root: Path, approval: str) -> None:
    text = (root / "params.yaml").read_text()
    before = next(line for line in text.splitlines() if line.startswith("  approval: "))
    (root / "params.yaml").write_text(text.replace(before, f"  approval: {approval}"))


def gate(root: Path, version: str, approval: str) -> Event:
    champion = model_versions.champion(root)
    record: dict[str, Any] = judgement(True, champion.version if champion else None)
    record["rules"] = {"approval": approval}
    until = None if approval == "automatic" else datetime.now(UTC) + timedelta(hours=48)
    return gate_decision.record_decision(root, version, record, RULES, until)[0]


def states(root: Path) -> dict[int, str]:
    return {number: one.state for number, one in decision_signature.signatures(root, history.history(root)).items()}


def test_an_allowed_key_signs_the_decision_and_the_hash_covers_the_signature(root: Path, keys: Path) -> None:
    event = promotion.approve(root, "2", by="Ada", key=SigningKey(keys / "ada"))
    assert (event.approval, event.signer) == ("signed", ADA)
    assert history.aliases(root) == {"champion": "2"}
    found = history.history(root)
    assert found[-1] == event and event_chain.verify(found, history.aliases(root)) == []
    assert events.from_text(events.to_text(event)) == event
    assert event.hash != events.seal(dataclasses.replace(event, signature="")).hash
    assert decision_signature.signatures(root, found) == {3: ("valid", f"signed by {ADA}", True)}
    assert json.loads(events.signed_text(event)).keys().isdisjoint({"hash", "signer", "signature"})
    assert model_versions.find(root, "2").tags["kshot.decided_by"].endswith(f", signed by {ADA}")
    assert listing.listing(root).models[1].decision == "promoted by Ada, signed"


DECISIONS = {
    "approve": lambda root, key: promotion.approve(root, "2", key=key),
    "reject": lambda root, key: promotion.reject(root, "2", "blurred", key=key),
    "promote": lambda root, key: promotion.promote(root, "3", "sharp", key=key),
    "rollback": lambda root, key: promotion.rollback(root, "slow", key=key),
}


@pytest.mark.parametrize("decision", ["approve", "reject", "promote"])
def test_each_decision_without_a_key_is_refused_and_changes_nothing(root: Path, decision: str) -> None:
    with pytest.raises(RegistryError, match=r"version \d must be signed \(gate.approval is signed\): give --key FILE"):
        DECISIONS[decision](root, SigningKey())
    assert len(history.history(root)) == 2
    assert not (root / ".kshot/act.json").exists()


def test_a_rollback_needs_a_signature_too(root: Path, keys: Path) -> None:
    promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    with pytest.raises(RegistryError, match="must be signed"):
        DECISIONS["rollback"](root, SigningKey())
    assert history.aliases(root) == {"champion": "2"}
    assert DECISIONS["rollback"](root, SigningKey(keys / "ada")).signer == ADA


@pytest.mark.parametrize(
    ("options", "key", "told"),
    [
        ("", "eve", "the key .*eve may not sign: allowed_signers does not name its key"),
        ('valid-before="20200101"', "ada", "may not sign: .*time is over .*key has expired"),
        ('namespaces="git"', "ada", "may not sign: not valid for ada@example.org .* or for other namespaces"),
        ("", "nobody", "the key .*nobody is missing"),
    ],
)
def test_a_key_that_may_not_sign_changes_nothing(root: Path, keys: Path, options: str, key: str, told: str) -> None:
    commit_signers(root, "# one\n", line(keys / "ada", options=options))
    with pytest.raises(KshotError, match=told):
        promotion.approve(root, "2", key=SigningKey(keys / key))
    assert len(history.history(root)) == 2


def test_only_the_committed_file_says_who_may_sign(root: Path, keys: Path) -> None:
    (root / "allowed_signers").write_text(line(keys / "eve"))
    with pytest.raises(RegistryError, match="may not sign"):
        promotion.approve(root, "2", key=SigningKey(keys / "eve"))


def test_without_the_file_and_without_the_program_nothing_is_decided(
    root: Path, keys: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = registered_versions.copy(template, tmp_path / "other")
    with pytest.raises(RegistryError, match="has no file allowed_signers that says who may: commit one"):
        promotion.approve(other, "2", key=SigningKey(keys / "ada"))
    monkeypatch.setattr(ssh_keygen.subprocess, "run", gone)
    with pytest.raises(ssh_keygen.NoKeygen, match="ssh-keygen is not installed; install"):
        promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    assert len(history.history(root)) == len(history.history(other)) == 2


def test_where_git_refuses_the_folder_its_reason_is_said_and_nobody_is_called_foreign(
    root: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a volume of another owner
    (found,) = decision_signature.signatures(root, history.history(root)).values()
    assert found.state == "not checked" and not found.fails
    assert "detected dubious ownership" in found.says and "safe.directory" in found.says
    record = history.record(root)
    (problem,) = anchor.problems(root, record.run_id, record.events)
    assert problem.startswith("whether git anchors this history is not known: git ") and "dubious ownership" in problem
    with pytest.raises(KshotError, match="dubious ownership"):
        promotion.rollback(root, "slow", key=SigningKey(keys / "ada"))
    assert len(history.history(root)) == 3


def gone(*_: object, **__: object) -> None:
    raise FileNotFoundError


def test_the_settings_cannot_take_back_what_the_gate_recorded(root: Path, keys: Path) -> None:
    approve_by(root, "automatic")
    with pytest.raises(RegistryError, match=r"gate.approval was signed at event 2 \(version 2 set waiting"):
        promotion.approve(root, "2")
    assert promotion.approve(root, "2", key=SigningKey(None, keys / "ada")).signer == ADA  # git's own key
    gate(root, "3", "automatic")
    assert promotion.rollback(root, "slow", to="1").signature == ""  # the gate has judged without it since


def test_only_a_commit_ends_the_setting(root: Path) -> None:
    git.run(root, "add", "params.yaml")
    git.run(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "signed")
    approve_by(root, "automatic")
    assert decision_signature.setting(root) == "signed"
    git.run(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "no longer")
    assert decision_signature.setting(root) == ""


def test_a_broken_setting_does_not_prevent_a_signed_rollback(root: Path, keys: Path) -> None:
    (root / "params.yaml").write_text("gate: [\n")
    promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    assert promotion.rollback(root, "slow", key=SigningKey(keys / "ada")).approval == ""
    assert states(root) == {3: "valid", 4: "valid"}


def test_a_chosen_key_signs_where_no_signature_is_required_and_gits_own_does_not(root: Path, keys: Path) -> None:
    approve_by(root, "automatic")
    gate(root, "3", "automatic")
    event = promotion.reject(root, "4", "blurred", key=SigningKey(None, keys / "ada"))
    assert (event.approval, event.signature, states(root)) == ("", "", {})
    promotion.promote(root, "4", "sharp", key=SigningKey(keys / "ada"))
    assert decision_signature.signatures(root, history.history(root)) == {5: ("valid", f"signed by {ADA}", False)}


def test_history_says_whose_signature_and_fails_for_a_foreign_one(
    root: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["approve", "2", "--key", str(keys / "ada")]) == 0
    assert cli.main(["history"]) == 0
    assert f"     signed by {ADA}\n     champion 2\n" in capsys.readouterr().out
    commit_signers(root, line(keys / "eve"))
    assert cli.main(["history"]) == 1
    assert (
        "! event 3 (version 2 approved by" in (out := capsys.readouterr().out) and "signed by a key that may not" in out
    )
    assert cli.main(["history", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["signature_is"] for row in rows] == ["", "", "foreign"]


def forged(root: Path, event: Event, **changes: str) -> None:
    """Write another event of the same number into the database, with a hash that fits."""
    other = events.seal(dataclasses.replace(event, **changes))  # type: ignore[arg-type]
    with closing(sqlite3.connect(root / "mlruns/mlflow.db")) as database:
        for key, value in (
            (f"event.{event.number:06d}", events.to_text(other)),
            (f"event.{event.number:06d}.done", other.hash),
        ):
            assert database.execute("update params set value = ? where key = ?", (value, key)).rowcount == 1
        database.commit()


def test_a_forged_decision_is_missing_invalid_or_foreign(root: Path, keys: Path) -> None:
    event = promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    forged(root, event, why="another reason")
    assert states(root) == {3: "invalid"}
    forged(root, event, signature="", signer="", approval="")
    assert states(root) == {3: "missing"}
    eve = ssh_keygen.sign(events.signed_text(event).encode(), keys / "eve", decision_signature.NAMESPACE)
    forged(root, event, signature=eve)
    assert states(root) == {3: "foreign"}
    attest = ssh_keygen.sign(events.signed_text(event).encode(), keys / "ada", "kshot-attestation")
    forged(root, event, signature=attest)
    assert states(root) == {3: "invalid"}
    forged(root, event)
    assert states(root) == {3: "valid"}


def test_a_key_counts_at_the_time_of_the_decision(root: Path, keys: Path) -> None:
    promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    soon = f"{datetime.now(UTC) + timedelta(days=2):%Y%m%d}"
    commit_signers(root, line(keys / "ada", options=f'valid-after="20200101",valid-before="{soon}"'))
    assert states(root) == {3: "valid"}
    commit_signers(root, line(keys / "ada", options='valid-before="20200101"'))
    assert states(root) == {3: "foreign"}


def test_an_authoritys_certificate_signs_a_decision_at_its_time(root: Path, keys: Path, tmp_path: Path) -> None:
    authority = new_key(tmp_path / "authority")
    for name, valid in (("ada", "-1d:+9d"), ("bo", "-9d:-1d")):
        certify(new_key(tmp_path / name), authority, f"{name}@example.org", valid)
    commit_signers(root, line(authority, "*@example.org", "cert-authority"))
    with pytest.raises(RegistryError, match=r"the key .*bo-cert.pub may not sign: .*time is over"):
        promotion.approve(root, "2", key=SigningKey(tmp_path / "bo-cert.pub"))
    with pytest.raises(RegistryError, match=r"the key .*ada may not sign"):  # without its certificate
        promotion.approve(root, "2", key=SigningKey(tmp_path / "ada"))
    assert promotion.approve(root, "2", key=SigningKey(tmp_path / "ada-cert.pub")).signer == ADA
    assert states(root) == {3: "valid"}


def test_a_signature_that_does_not_fit_into_the_store_is_refused(
    root: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_event, "LONGEST_PARAM", 500)
    with pytest.raises(RegistryError, match=r"with its signature the event has .* characters, and MLflow stores 500"):
        promotion.approve(root, "2", key=SigningKey(keys / "ada"))
    assert len(history.history(root)) == 2
