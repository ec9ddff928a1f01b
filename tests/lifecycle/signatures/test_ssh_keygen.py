"""A signature names its signer, and each way in which it does not fit has an error of its own."""

from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.signatures import ssh_keygen
from tests.lifecycle.ssh_keys import ADA, line, new_key

USE = "test-use"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_key(tmp_path_factory.mktemp("keys") / "ada")


@pytest.fixture(scope="module")
def signature(key: Path) -> str:
    return ssh_keygen.sign(b"content", key, USE)


def signers(folder: Path, *lines: str) -> Path:
    path = folder / "allowed_signers"
    path.write_text("".join(lines))
    return path


def test_the_signer_is_named_as_the_file_names_the_key(key: Path, signature: str, tmp_path: Path) -> None:
    allowed = signers(tmp_path, line(key))
    assert ssh_keygen.signer(b"content", signature, allowed, USE) == ADA
    assert ssh_keygen.signer(b"content", signature, allowed, USE, name=ADA) == ADA


def test_one_of_two_names_of_a_key_may_be_asked_for(key: Path, signature: str, tmp_path: Path) -> None:
    allowed = signers(tmp_path, line(key, f"{ADA},ada@example.com"))
    assert ssh_keygen.signer(b"content", signature, allowed, USE, name="ada@example.com") == "ada@example.com"
    with pytest.raises(ssh_keygen.Foreign, match="not valid for bo@example.org"):
        ssh_keygen.signer(b"content", signature, allowed, USE, name="bo@example.org")


def test_every_name_and_line_of_a_key_is_tried(key: Path, signature: str, tmp_path: Path) -> None:
    lines = (line(key, options='namespaces="git"'), "# for decisions\n", line(key, "bo,chief", f'namespaces="{USE}"'))
    assert ssh_keygen.signer(b"content", signature, signers(tmp_path, *lines), USE) == "bo"
    others = signers(tmp_path, *(line(key, name, 'namespaces="git"') for name in ("bo", "cy")))
    with pytest.raises(ssh_keygen.Foreign, match=r"not valid for bo \(nor for cy\) by allowed_signers"):
        ssh_keygen.signer(b"content", signature, others, USE)


def test_other_content_and_another_use_are_invalid(key: Path, signature: str, tmp_path: Path) -> None:
    allowed = signers(tmp_path, line(key))
    for content, use in ((b"other", USE), (b"content", "another-use")):
        with pytest.raises(ssh_keygen.Invalid):
            ssh_keygen.signer(content, signature, allowed, use)
    with pytest.raises(ssh_keygen.Invalid):
        ssh_keygen.signer(b"content", "no signature", allowed, USE)


def test_a_key_counts_at_its_time(key: Path, signature: str, tmp_path: Path) -> None:
    allowed = signers(tmp_path, line(key, options='valid-before="20200101"'))
    assert ssh_keygen.signer(b"content", signature, allowed, USE, when="2019-12-30T12:00:00.5+00:00") == ADA
    for when in ("", "2020-01-02T12:00:00+00:00"):
        with pytest.raises(ssh_keygen.Foreign, match="time is over"):
            ssh_keygen.signer(b"content", signature, allowed, USE, when=when)


def test_a_key_of_somebody_else_and_one_for_other_uses_are_foreign(key: Path, signature: str, tmp_path: Path) -> None:
    for one in (line(new_key(tmp_path / "eve")), line(key, options='namespaces="git"')):
        with pytest.raises(ssh_keygen.Foreign):
            ssh_keygen.signer(b"content", signature, signers(tmp_path, one), USE)


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(DataError, match=r"key .*key cannot sign"):
        ssh_keygen.sign(b"", tmp_path / "key", USE)
    with pytest.raises(DataError, match="none is missing"):
        ssh_keygen.sign(b"", tmp_path / "none", USE)


def test_a_machine_without_the_program_is_told_so(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ssh_keygen.NoKeygen, match="ssh-keygen is not installed; install"):
        ssh_keygen.sign(b"", key, USE)
