"""The link `decision` of a version that had to be approved with a signature."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot.lifecycle.audit.link import Link
from kshot.lifecycle.audit.model import audit_model
from kshot.lifecycle.signatures import ssh_keygen
from tests.lifecycle import audited_project, signed_approval
from tests.lifecycle.ssh_keys import ADA, commit_signers, line, new_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "ada")


@pytest.fixture
def root(made: Path, key: Path, tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "undo").mkdir()
    with audited_project.undone(made, tmp_path / "undo"), signed_approval.head_undone(made):
        signed_approval.make(made, key, line(key))
        yield made


def decision(root: Path) -> Link:
    return next(link for link in audit_model(root, "1").links if link.name == "decision")


def test_the_link_names_the_signer_and_breaks_with_a_key_that_may_not_sign(
    root: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = audit_model(root, "1")
    assert [link.name for link in found.failed] == []
    assert decision(root).says.endswith(f"as expected; event 4: signed by {ADA}")
    commit_signers(root, line(new_key(tmp_path / "eve")))
    link = decision(root)
    assert (link.state, link.found) == ("broken", "foreign")
    assert "event 4 (version 1 approved by Ada" in link.says and "had to be signed: signed by a key that" in link.says
    with monkeypatch.context() as patch:
        patch.setattr(ssh_keygen, "signer", not_installed)
        link = decision(root)
        assert link.state == "not checked" and "ssh-keygen is not installed" in link.says
    audited_project.execute(
        root,
        "update params set value = replace(value, '\"approval\": \"signed\", ', '') where key = 'event.000003'",
    )
    assert (link := decision(root)).state == "broken" and "says another approval than its evidence" in link.says


def not_installed(*_: object, **__: object) -> str:
    raise ssh_keygen.NoKeygen("ssh-keygen is not installed")
