"""Which key signs: the option before the variable, and git's own only as a fallback."""

import subprocess
from pathlib import Path

import pytest

from kshot.lifecycle.signatures.signing_key import NO_KEY, SigningKey, signing_key


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KSHOT_SIGNING_KEY", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def configure(root: Path, name: str, value: str) -> None:
    subprocess.run(["git", "config", name, value], cwd=root, check=True)


def test_the_option_comes_before_the_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing_key(root, None) == NO_KEY
    monkeypatch.setenv("KSHOT_SIGNING_KEY", "~/of-the-variable")
    assert signing_key(root, None) == SigningKey(Path.home() / "of-the-variable")
    assert signing_key(root, Path("given")) == SigningKey(Path("given"))


def test_the_key_of_the_service_signs_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHOT_KEY", "the API key that kshot gallery sends")
    assert signing_key(root, None) == NO_KEY


def test_gits_key_is_the_fallback_where_git_signs_with_ssh(root: Path) -> None:
    configure(root, "user.signingkey", "~/.ssh/id")
    assert signing_key(root, None) == NO_KEY  # a key of GPG
    configure(root, "gpg.format", "ssh")
    assert signing_key(root, None) == SigningKey(None, Path.home() / ".ssh/id")
    configure(root, "user.signingkey", "ssh-ed25519 AAAA")
    assert signing_key(root, None) == NO_KEY  # a public key that only an agent can use


def test_outside_a_repository_there_is_no_key_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("KSHOT_SIGNING_KEY", raising=False)
    assert signing_key(tmp_path, None) == NO_KEY
