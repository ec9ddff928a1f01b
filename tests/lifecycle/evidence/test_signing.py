"""A manifest is signed with an SSH key; a key that may not sign is refused with its reason."""

from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.evidence import signing
from tests.lifecycle.ssh_keys import new_key


def allowed(path: Path, key: Path, options: str = "") -> Path:
    path.write_text(f"ada@example.org {options} {key.with_suffix('.pub').read_text()}")
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text("{}")
    return path


def test_the_signer_is_named_as_the_file_names_the_key(manifest: Path, key: Path, tmp_path: Path) -> None:
    assert signing.sign(manifest, key, None) == ""
    Path(f"{manifest}.sig").unlink()
    assert signing.sign(manifest, key, allowed(tmp_path / "signers", key)) == "ada@example.org"


def test_an_expired_key_may_not_sign(manifest: Path, key: Path, tmp_path: Path) -> None:
    signers = allowed(tmp_path / "signers", key, 'valid-before="20200101"')
    with pytest.raises(DataError, match="may not sign: .* time is over .*key has expired"):
        signing.sign(manifest, key, signers)


def test_a_key_for_other_purposes_may_not_sign(manifest: Path, key: Path, tmp_path: Path) -> None:
    signers = allowed(tmp_path / "signers", key, 'namespaces="git"')
    with pytest.raises(DataError, match="for other namespaces"):
        signing.sign(manifest, key, signers)


def test_a_key_that_the_file_does_not_name_may_not_sign(manifest: Path, key: Path, tmp_path: Path) -> None:
    signers = allowed(tmp_path / "signers", key)
    with pytest.raises(DataError, match="does not name it"):
        signing.sign(manifest, new_key(tmp_path / "eve"), signers)


def test_a_file_that_is_no_key_is_named(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(DataError, match="cannot sign"):
        signing.sign(manifest, tmp_path / "key", None)
    with pytest.raises(DataError, match="is missing"):
        signing.sign(manifest, tmp_path / "none", None)
