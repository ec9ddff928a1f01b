"""One project with a registered champion, and its attestation, for all tests of the evidence."""

import shutil
from pathlib import Path

import pytest

from kshot.lifecycle.evidence import attestation
from tests.lifecycle import audited_project
from tests.lifecycle.ssh_keys import new_key


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_project.copy(tmp_path_factory, tmp_path_factory.mktemp("attested"))


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SSH key without a passphrase; `key.pub` lies beside it."""
    return new_key(tmp_path_factory.mktemp("keys") / "ada")


@pytest.fixture(scope="session")
def signers(key: Path) -> Path:
    """The file that gives Ada's key her name."""
    path = key.with_name("allowed_signers")
    path.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    return path


@pytest.fixture(scope="session")
def signed(made: Path, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attestation of version 1, with its model, signed by Ada; not to be changed."""
    folder = tmp_path_factory.mktemp("attestation") / "evidence"
    attestation.attest(made, "1", folder, key=key, with_model=True)
    return folder


@pytest.fixture
def folder(signed: Path, tmp_path: Path) -> Path:
    """A copy of the attestation that a test may change."""
    return shutil.copytree(signed, tmp_path / "evidence")
