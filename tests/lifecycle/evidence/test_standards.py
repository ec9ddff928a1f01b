"""The files of an attestation are valid by their published schemas, and other tools verify the signatures."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from kshot.lifecycle.evidence import attestation, envelopes, verify
from kshot.lifecycle.signatures import private_key
from tests.lifecycle.audited_project import flip
from tests.lifecycle.evidence.folders import edit, resealed
from tests.lifecycle.ssh_keys import ADA, line, new_key


@pytest.fixture(scope="module")
def elliptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ECDSA key."""
    return new_key(tmp_path_factory.mktemp("elliptic") / "ada", "ecdsa")


@pytest.fixture(scope="module")
def whole(made: Path, elliptic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attestation of version 1 with its model, signed with the ECDSA key in every form; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "evidence"
    written = attestation.attest(made, "1", folder, key=elliptic, with_model=True)
    assert written.lacks == ()
    return folder


def model_signing(folder: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """OpenSSF's command line on the folder's model, with the public key as `ssh-keygen -e` gives it."""
    pem = folder.parent / "ada.pem"
    exported = subprocess.run(
        ["ssh-keygen", "-e", "-m", "pkcs8", "-f", key.with_suffix(".pub")], check=True, capture_output=True
    )
    pem.write_bytes(exported.stdout)
    command = [sys.executable, "-m", "model_signing", "verify", "key", folder / "model"]
    command += ["--signature", folder / "model.sig", "--public_key", pem]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def read_envelope(path: Path) -> tuple[Envelope, str]:
    content = json.loads(path.read_text())
    keyid = content["signatures"][0]["keyid"]
    return Envelope.from_dict(content), keyid


def public(key: Path, keyid: str) -> SSlibKey:
    return SSlibKey.from_crypto(private_key.read(key).public_key(), keyid)


def checked(folder: Path, allowed: Path | None = None) -> tuple[str, str]:
    found = verify.checks(verify.Folder(folder), verify.Given(allowed=allowed))
    return next((state, text) for name, state, text in found if name == "envelopes")


def test_model_signing_verifies_the_model_and_refuses_a_flipped_byte(
    whole: Path, elliptic: Path, tmp_path: Path
) -> None:
    ended = model_signing(whole, elliptic)
    assert ended.returncode == 0 and "succeeded" in ended.stdout, ended.stdout + ended.stderr
    weights = next((whole / "model/artifacts/embedding").glob("*.safetensors"))
    before = weights.read_bytes()
    try:
        flip(weights, len(before) // 2)
        ended = model_signing(whole, elliptic)
    finally:
        weights.write_bytes(before)
    assert ended.returncode != 0 and weights.name in ended.stdout + ended.stderr


def test_in_totos_library_verifies_each_envelope_with_either_kind_of_key(
    whole: Path, signed: Path, elliptic: Path, key: Path, tmp_path: Path
) -> None:
    for folder, ours in ((whole, elliptic), (signed, key)):
        paths = sorted((folder / "envelopes").iterdir())
        assert [path.name for path in paths] == sorted(path.name for path in (folder / "statements").iterdir())
        for path in paths:
            envelope, keyid = read_envelope(path)
            assert envelope.verify([public(ours, keyid)], 1)
            assert envelope.payload == (folder / "statements" / path.name).read_bytes()
            assert envelope.payload_type == "application/vnd.in-toto+json"
    eve = new_key(tmp_path / "eve")
    with pytest.raises(VerificationError):
        envelope.verify([public(eve, keyid)], 1)


def test_the_key_of_an_envelope_is_named_as_ssh_keygen_names_it(whole: Path, elliptic: Path) -> None:
    said = subprocess.run(["ssh-keygen", "-lf", elliptic.with_suffix(".pub")], check=True, capture_output=True).stdout
    assert read_envelope(whole / "envelopes/01-ingest.json")[1] == said.decode().split()[1]


def test_openssh_verifies_the_manifest(whole: Path, elliptic: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(line(elliptic))
    command = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", ADA, "-n", "kshot-attestation"]
    with (whole / "manifest.json").open() as content:
        subprocess.run([*command, "-s", whole / "manifest.json.sig"], stdin=content, check=True, capture_output=True)
    assert checked(whole, signers) == (
        verify.OK,
        "7 statements and the files of the served model are signed one by one, by the key of manifest.json.sig",
    )


def test_each_statement_and_its_predicate_are_valid_by_in_totos_schema(whole: Path) -> None:
    for path in (whole / "statements").iterdir():
        one = json.loads(path.read_text())
        message = json_format.ParseDict(one, StatementMessage())  # refuses fields that the schema does not have
        Statement.copy_from_pb(message).validate()
        json_format.ParseDict(one["predicate"], Provenance())


def test_the_bill_of_material_is_valid_by_cyclonedx_s_schema(whole: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    text = (whole / "bom.json").read_text()
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"machine-learning-model"', '"model"')) is not None


def test_the_data_is_valid_by_croissants_validator(whole: Path) -> None:
    code = "import mlcroissant, sys; mlcroissant.Dataset(sys.argv[1])"
    command = [sys.executable, "-c", code, whole / "data/croissant.json"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def reenveloped(folder: Path, name: str, key: Path) -> None:
    """Sign the statement again with another key."""
    content = (folder / "statements" / name).read_bytes()
    made = envelopes.envelopes({f"statements/{name}": content}, private_key.read(key))
    (folder / "envelopes" / name).write_text(json.dumps(made[f"envelopes/{name}"]))


def test_a_statement_in_the_wrong_envelope_and_one_of_another_key_are_named(folder: Path, tmp_path: Path) -> None:
    assert checked(folder)[0] == verify.OK
    first, second = folder / "envelopes/01-ingest.json", folder / "envelopes/02-split.json"
    before = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert checked(folder) == (
        verify.FAILED,
        "envelopes/01-ingest.json holds another statement than statements/01-ingest.json",
    )
    first.write_bytes(before)
    reenveloped(folder, "02-split.json", new_key(tmp_path / "eve"))
    assert checked(folder) == (
        verify.FAILED,
        "envelopes/02-split.json: it is not signed by the key of manifest.json.sig",
    )
    second.unlink()
    resealed(folder)
    assert checked(folder) == (verify.FAILED, "envelopes/ has no 02-split.json")


def test_a_model_signature_over_other_files_is_named(whole: Path, folder: Path, elliptic: Path, tmp_path: Path) -> None:
    for name in ("model.sig", "manifest.json.sig", "manifest.json"):
        (folder / name).write_bytes((whole / name).read_bytes())

    def change(bundle: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        del statement["predicate"]["resources"][0]
        content = json.dumps(statement).encode()
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(content).decode()

    for path in (whole / "envelopes").iterdir():
        (folder / "envelopes" / path.name).write_bytes(path.read_bytes())
    assert checked(folder)[0] == verify.OK
    edit(folder / "model.sig", change)
    state, text = checked(folder)
    assert state == verify.FAILED and text.startswith("model.sig is not over the files that served-model.json names")


def test_nothing_but_the_input_example_can_be_said_to_be_erased(folder: Path) -> None:
    name = "artifacts/embedding/embedding.safetensors"
    (folder / "model" / name).unlink()
    about = {"files": [name], "manifest": hashlib.sha256((folder / "model/manifest.json").read_bytes()).hexdigest()}
    edit(folder / "manifest.json", lambda manifest: manifest.update(erased=about))
    found = verify.checks(verify.Folder(folder), verify.Given())
    said = {name: (state, text) for name, state, text in found}
    assert said["model"] == (verify.FAILED, "manifest.json says that more was erased than a model's input example")


@pytest.mark.parametrize(
    ("kind", "passphrase", "told"),
    [("rsa", "", "neither an Ed25519 key nor an ECDSA key"), ("ecdsa", "geheim", "has a passphrase")],
)
def test_a_key_that_only_ssh_keygen_can_use_is_told(kind: str, passphrase: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(private_key.Unusable, match=told):
        private_key.read(new_key(tmp_path / "key", kind, passphrase))


def test_a_public_key_and_a_file_that_is_none_are_told(key: Path, tmp_path: Path) -> None:
    with pytest.raises(private_key.Unusable, match="is no private key"):
        private_key.read(Path(shutil.copy(key.with_suffix(".pub"), tmp_path)))  # its private key is in an agent
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(private_key.Unusable, match="cannot read"):
        private_key.read(tmp_path / "key")


@pytest.mark.parametrize("bits", ["256", "384", "521"])
def test_every_curve_of_ssh_signs_for_in_totos_library(bits: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", bits, "-N", "", "-m", "PEM", "-f", path]
    subprocess.run(command, check=True)
    made = envelopes.envelopes({"statements/01-a.json": b"{}"}, private_key.read(path))["envelopes/01-a.json"]
    key = public(path, made["signatures"][0]["keyid"])
    assert Envelope.from_dict(made).verify([key], 1)


def test_an_ed25519_key_signs_envelopes_and_says_why_not_the_model(signed: Path, key: Path, tmp_path: Path) -> None:
    assert not (signed / "model.sig").exists()
    (tmp_path / "model").mkdir()
    from kshot.lifecycle.evidence import model_signature

    with pytest.raises(private_key.Unusable, match="needs an ECDSA key: `ssh-keygen -t ecdsa`"):
        model_signature.signature(tmp_path / "model", private_key.read(key))
