"""Certificates of an authority (OpenSSH's and X.509) in attestations: who trusts the authority needs to know no key."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kshot.errors import DataError
from kshot.lifecycle.evidence import attestation, verify
from kshot.lifecycle.signatures import private_key
from tests.lifecycle.ssh_keys import ADA, certify, new_key

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's key `authority`, another one `other`, and Ada's key with a certificate of the first."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("authority", "other", "ada", "eve"):
        new_key(folder / name, "ecdsa")
    certify(folder / "ada", folder / "authority")
    certificate(folder, "root", "authority", "authority")
    certificate(folder, "foreign", "other", "other")
    certificate(folder, "ada", "ada", "authority")
    return folder


def certificate(folder: Path, name: str, key: str, authority: str) -> Path:
    """NAME.pem: an X.509 certificate of the key, issued by the authority; a root if both are the same."""
    own, issuer = (private_key.read(folder / one) for one in (key, authority))
    assert isinstance(issuer, ec.EllipticCurvePrivateKey)
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (key, authority)]
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    usage["key_cert_sign" if key == authority else "digital_signature"] = True
    made = (
        x509.CertificateBuilder(serial_number=x509.random_serial_number())
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(own.public_key())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=key == authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .sign(issuer, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def whole(made: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attestation of version 1, signed with Ada's key under both of its certificates; not to be changed."""
    folder = tmp_path_factory.mktemp("certified") / "evidence"
    written = attestation.attest(
        made, "1", folder, key=keys / "ada-cert.pub", certificate=keys / "ada.pem", with_model=True
    )
    assert written.lacks == ()
    return folder


def states(folder: Path, allowed: Path, at: str = "") -> dict[str, tuple[str, str]]:
    found = verify.checks(verify.Folder(folder), verify.Given(allowed=allowed, at=at))
    return {name: (state, text) for name, state, text in found}


def authorities(folder: Path, key: Path, options: str = "") -> Path:
    """A file of allowed signers that trusts an authority for every name of example.org."""
    path = folder / "signers"
    path.write_text(f"*@example.org cert-authority{options} {key.with_suffix('.pub').read_text()}")
    return path


def test_an_authority_vouches_for_the_signer(whole: Path, keys: Path, tmp_path: Path) -> None:
    found = states(whole, authorities(tmp_path, keys / "authority"))
    assert found["signature"] == (verify.OK, f"signed by {ADA}, whose key is in signers")
    assert found["envelopes"][0] == verify.OK


@pytest.mark.parametrize(("key", "options"), [("other", ""), ("authority", ',valid-before="20200101"')])
def test_another_authority_and_one_whose_time_is_over_are_refused(
    whole: Path, keys: Path, tmp_path: Path, key: str, options: str
) -> None:
    state, text = states(whole, authorities(tmp_path, keys / key, options))["signature"]
    assert state == verify.FAILED and "or its time is over" in text


def test_a_certificate_counts_at_the_time_that_the_auditor_names(whole: Path, keys: Path, tmp_path: Path) -> None:
    allowed = authorities(tmp_path, keys / "authority")
    assert states(whole, allowed, (NOW + timedelta(days=2)).isoformat())["signature"][0] == verify.OK
    assert states(whole, allowed, (NOW + timedelta(days=20)).isoformat())["signature"][0] == verify.FAILED


def model_signing(folder: Path, root: Path) -> "subprocess.CompletedProcess[str]":
    command: Sequence[str | Path] = (
        *(sys.executable, "-m", "model_signing", "verify", "certificate", folder / "model"),
        *("--signature", folder / "model.sig", "--certificate_chain", root),
    )
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_model_signing_verifies_the_model_by_the_authoritys_certificate(whole: Path, keys: Path) -> None:
    ended = model_signing(whole, keys / "root.pem")
    assert ended.returncode == 0 and "succeeded" in ended.stdout, ended.stdout + ended.stderr
    assert model_signing(whole, keys / "foreign.pem").returncode != 0


def test_a_certificate_of_another_key_and_one_without_a_key_write_nothing(
    made: Path, keys: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evidence"
    for key, name, told in (("eve", "ada.pem", "does not match"), ("eve", "none.pem", "PEM"), (None, "ada.pem", "key")):
        with pytest.raises(DataError, match=told):
            attestation.attest(made, "1", out, key=keys / key if key else None, certificate=keys / name)
    assert list(tmp_path.iterdir()) == []
