"""`kshot attest`: audits a version and writes the verified facts as standard files into one folder."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kshot import manifest
from kshot.errors import AuditFailed, CheckFailed, DataError
from kshot.lifecycle.audit import link, model
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.evidence import (
    collected,
    croissant,
    envelopes,
    model_card,
    model_signature,
    signing,
    verify,
)
from kshot.lifecycle.evidence.attested_files import described, erased, stage_statements
from kshot.lifecycle.evidence.bill_of_material import bill_of_material
from kshot.lifecycle.evidence.collected import Collected
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.signatures import private_key
from kshot.lifecycle.signatures.allowed_signers import ALLOWED, committed_signers
from kshot.params import project_name

# Links that the folder cannot do without; the others may be "not recorded", and the manifest then says so.
NEEDED = ("model", "run", "record", "weights", "served", "data", "accuracies", "decision", "history")
ODD = "backslashreplace"  # a file name that is not text is written as an escape, in JSON too
MODEL = "model"  # folder with the served model, with --with-model


@dataclass(frozen=True)
class Attestation:
    """The written folder.

    signer  the name that `allowed_signers` gives the key, '' if it names none
    lacks   of the signatures in other forms than OpenSSH's: those that the key could not make, with the reason
    """

    folder: Path
    version: str
    files: int
    signed: bool
    signer: str
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        how = f", signed{f' by {self.signer}' if self.signer else ''}" if self.signed else ", not signed"
        written = f"{self.folder}: version {self.version} in {counted(self.files, 'file')}{how}"
        return "\n".join([written, *self.lacks])


def attest(
    root: Path,
    name: str,
    out: Path,
    *,
    key: Path | None = None,
    certificate: Path | None = None,
    with_model: bool = False,
) -> Attestation:
    """Write the folder `out`, completely or not at all; the same version gives the same bytes.

    key          an SSH private key, or a certificate of OpenSSH beside it
    certificate  the key's certificate of X.509 as PEM: it goes into model.sig
    Raises AuditFailed for a version with a link that does not hold, CheckFailed for a link that could not be checked,
    DataError for a folder that is not empty, for a key that may not sign, and for a certificate of another key.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is there and not an empty folder; give --out a new folder")
    if key is not None and not key.is_file():
        raise DataError(f"the key {key} is missing; needs an SSH private key: ssh-keygen -t ed25519 makes one")
    if certificate is not None and (key is None or not certificate.is_file()):
        raise DataError(f"the certificate {certificate} needs a --key whose certificate it is, and a file in PEM")
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            subject = opened(root, name, Path(scratch))
            states = _audited(subject)
            found = collected.collect(subject)
            signed, lacks = _signed(subject, key, certificate)
            _write(found, states, fresh, with_model, signed)
            files = len(json.loads((fresh / verify.MANIFEST).read_text(encoding="utf-8"))["files"])
        signers = fresh / ALLOWED
        signer = ""
        if key is not None:
            signer = signing.sign(fresh / verify.MANIFEST, key, signers if signers.exists() else None)
        _checked(fresh, signers if signer else None)
        if out.exists():
            out.rmdir()
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Attestation(out, subject.version, files, key is not None, signer, lacks)


def _audited(subject: Subject) -> dict[str, str]:
    """The state of each link of the audit. Raises AuditFailed, CheckFailed."""
    links = [link.checked(name, check) for name, check in model.checks(subject).items()]
    for one in links:
        what = f"version {subject.version} is not attested: its {one.name} is {one.state.upper()}: {one.says}"
        if one.state == link.ERROR:
            raise CheckFailed(what)
        if one.state == link.BROKEN or (one.name in NEEDED and not one.holds):
            raise AuditFailed(f"{what}; `kshot audit --model {subject.version}` shows every link")
    return {one.name: one.state for one in links}


def _write(found: Collected, states: dict[str, str], folder: Path, with_model: bool, signed: dict[str, bytes]) -> None:
    """Write every file but the signature over the manifest. `signed`: statements, their envelopes, model.sig."""
    subject, files = found.subject, {**found.files, **signed}
    project = project_name.of(subject.root)
    table = files["data/manifest.csv"]
    version = subject.tag("data_version")
    files["data/croissant.json"] = _json(croissant.croissant(project, version, found.images, table, found.known))
    about = described(found, project)
    files["bom.json"] = _json(bill_of_material(about))
    title, parts = f"{project}, version {subject.version}", model_card.sections(about)
    files["card.md"] = model_card.markdown(title, parts).encode(errors=ODD)
    files["card.html"] = model_card.html(title, parts).encode(errors=ODD)
    files["verify.py"] = Path(verify.__file__).read_bytes()
    signers = committed_signers(subject.root)
    if signers is not None:
        files[ALLOWED] = signers
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    if with_model:
        _copy_model(subject, folder / MODEL)
    last = found.events[-1]
    attested = {
        "kind": verify.KIND,
        "format": verify.FORMAT,
        "project": project,
        "version": subject.version,
        "lineage": subject.tag("lineage"),
        "data_version": version,
        "run": subject.run_id,
        "history": subject.record.run_id if subject.record else "",
        "head": {"number": last.number, "hash": last.hash},
        "audit": states,
        **erased(found),
        "files": _hashes(folder),
    }
    (folder / verify.MANIFEST).write_bytes(_json(attested))


def _signed(subject: Subject, key: Path | None, certificate: Path | None) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Statements, envelopes and model.sig, as far as the key can sign; and a reason for each missing one."""
    stages = {name: _json(one) for name, one in stage_statements(subject).items()}
    if key is None:
        return stages, ()
    try:
        found = private_key.read(key)
    except private_key.Unusable as reason:
        return stages, (f"no {envelopes.FOLDER}/ and no {model_signature.FILE}: {reason}",)
    signed = stages | {name: _json(one) for name, one in envelopes.envelopes(stages, found).items()}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _copy_model(subject, Path(scratch) / MODEL)
            signed[model_signature.FILE] = model_signature.signature(Path(scratch) / MODEL, found, certificate)
    except private_key.Unusable as reason:
        return signed, (f"no {model_signature.FILE}: {reason}",)
    return signed, ()


def _hashes(folder: Path) -> dict[str, str]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: manifest.file_sha256(folder / name) for name in names}


def _copy_model(subject: Subject, folder: Path) -> None:
    """The files that the manifest of the served model names, and the manifest."""
    for name in (*subject.sealed.model, manifest.FILE):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(subject.model / name, place)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n").encode(errors=ODD)


def _checked(folder: Path, signers: Path | None) -> None:
    """Verify the written folder as its recipient would. Raises CheckFailed, and then nothing is left behind."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code_ = verify.verify(folder, verify.Given(allowed=signers))
    text = printed.getvalue()
    if code_:
        failed = [line.strip() for line in text.splitlines() if verify.FAILED in line] or [text]
        raise CheckFailed(f"the folder does not verify, so it was not kept: {' | '.join(failed)} -- a defect of kshot")
