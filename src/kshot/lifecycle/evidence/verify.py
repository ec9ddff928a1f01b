"""Checks a folder that `kshot attest` wrote. It needs only Python 3.10 or newer and, for a signature, `ssh-keygen`; for
the signatures in envelopes and in model.sig, the package `cryptography`.

    python -I verify.py [FOLDER] [--allowed-signers FILE] [--at TIME] [--model DIR] [--anchor FILE]

Prints one line a check: `ok`, `FAILED` with the file and what is wrong, or `not checked` with the reason. The exit code
is 0 if no check failed, 1 if one did, 2 if the folder cannot be read at all. One file on purpose: anybody can read it.
Take it from a place that you trust (kshot's package or repository): the folder's own copy is part of the folder.
"""

from __future__ import annotations

import argparse
import base64
import csv
import functools
import hashlib
import io
import json
import math
import operator
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

KIND, FORMAT = "kshot attestation", 1
MANIFEST, SIGNATURE, NAMESPACE = "manifest.json", "manifest.json.sig", "kshot-attestation"
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
PAYLOAD, ENVELOPES, MODEL_SIGNATURE = "application/vnd.in-toto+json", "envelopes", "model.sig"
MODEL_PREDICATE = "https://model_signing/signature/v1.0"  # of OpenSSF model signing
OK, FAILED, OPEN = "ok", "FAILED", "not checked"
EXACT, ROUNDED, SIX_DIGITS = 1e-9, 1e-9, 0.51e-6  # metrics.json has six digits
SIGNIFICANT = 0.05
GALLERY_WAITS = "gallery_margin_waits"
WORST = operator.itemgetter(0, 3)  # of `gallery`: the largest loss first, then by name
REPORTED_ONLY = ("max_class_drop", GALLERY_WAITS)  # rules that refuse nothing
GATE = {"promoted": True, "waiting": True, "refused": False}  # the gate's actions, and the decision that each needs
PERSONAL, SIGNED, DECISION = ("approved", "rejected", "promoted by hand", "rolled back"), "signed", "kshot-decision"
ADDED_LATER = ("inference.json", "answering.json")  # registering a model adds one, by its name or its earlier one
ENTRY = " = "  # in a fingerprint that maps a plug-in's name to its object, and is no file
WRITTEN_LATER = "registered_model_meta"  # by MLflow, into a model's folder
EXAMPLES = {"input_example.json", "serving_input_example.json"}  # files of a model that `kshot forget` may erase
AS_REGISTERED = "manifest-as-registered.json"  # of a model with erased files: the manifest until then
CELL = ("protocol", "episode", "class", "rotation", "group")
Interval = tuple[float, ...]  # mean, low, high


class Wrong(Exception):
    """A check that fails; the text names the file."""


class Open(Exception):
    """A check, or a part of it, that cannot be carried out; the text is the reason."""


class Folder:
    """The files of an attestation; a file that is missing or cannot be parsed fails the check that needs it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def bytes(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise Wrong(f"{name} cannot be read: {error.strerror or error}") from error

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.bytes(name))
        except ValueError as error:
            raise Wrong(f"{name} is no JSON: {error}") from error

    def rows(self, name: str) -> list[dict[str, str]]:
        try:
            return list(csv.DictReader(io.StringIO(self.bytes(name).decode("utf-8"), newline="")))
        except (UnicodeDecodeError, csv.Error) as error:
            raise Wrong(f"{name} is no CSV: {error}") from error

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        found = self.json(MANIFEST)
        if not isinstance(found, dict) or found.get("kind") != KIND or not isinstance(found.get("files"), dict):
            raise Wrong(f"{MANIFEST} is not the manifest of a {KIND}")
        if found.get("format") != FORMAT:
            raise Wrong(
                f"{MANIFEST} is of format {found.get('format')!r}, and this verify.py reads {FORMAT}: use the "
                "verify.py of the kshot that wrote it, or of a newer one"
            )
        return found

    @functools.cached_property
    def events(self) -> list[dict[str, Any]]:
        lines = self.bytes("events.jsonl").decode("utf-8", "replace").splitlines()
        try:
            return [dict(json.loads(line)) for line in lines]
        except (ValueError, TypeError) as error:
            raise Wrong(f"events.jsonl has a line that is no event: {error}") from error

    @functools.cached_property
    def judged(self) -> dict[str, Any] | None:
        """The gate's last event about the version, None if it has not judged it."""
        version = self.manifest["version"]
        ours = [one for one in self.events if one.get("version") == version and one.get("action") in GATE]
        return ours[-1] if ours else None

    @functools.cached_property
    def decision(self) -> dict[str, Any]:
        if self.judged is None:
            raise Open("the gate has not judged this version, so there is no evidence of a decision")
        if sha256(self.bytes("decision.json")) != (self.judged.get("proof") or {}).get("sha256"):
            raise Wrong(f"decision.json is not the evidence that event {self.judged['number']} names by its sha256")
        found = self.json("decision.json")
        if found.get("format") != 2:
            raise Open(f"decision.json is of format {found.get('format', 1)}, whose rules this verify.py does not know")
        return dict(found)

    @functools.cached_property
    def served(self) -> dict[str, Any]:
        return dict(self.json("served-model.json"))

    @functools.cached_property
    def model_files(self) -> dict[str, str]:
        """File to sha256 of the served model: as registered, without the files that were erased since."""
        erased, found = self.manifest.get("erased", {}), dict(self.served["model"])
        place, registered = "manifest.json", sha256(self.bytes("served-model.json"))
        if erased:
            if set(erased["files"]) - EXAMPLES:
                raise Wrong(f"{MANIFEST} says that more was erased than a model's input example")
            found = {name: value for name, value in found.items() if name not in erased["files"]}
            found["manifest.json"], place = erased["manifest"], AS_REGISTERED
        return {**found, place: registered}

    @functools.cached_property
    def statements(self) -> dict[str, dict[str, Any]]:
        names = [name for name in self.manifest["files"] if name.startswith("statements/")]
        return {name: self.json(name) for name in sorted(names)}

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """Path to md5 of the files and folders that the stages wrote, by their statements."""
        return {f["name"]: md5_of(f) for one in self.statements.values() for f in one["subject"]}


# The checks, in the order of `checks` below. Each returns the text of its line, or raises Wrong or Open.
# 1. Files and signatures.


def subject(folder: Folder, expected: str) -> str:
    """The folder is about the project, or the project/version, that the reader expects."""
    about = folder.manifest
    found = f"{about['project']}/{about['version']}"
    if expected not in (about["project"], found):
        raise Wrong(f"the folder is about {found}, and {expected} was expected")
    return f"about {found}, as expected"


def files(folder: Folder) -> str:
    listed = {str(name): str(value) for name, value in folder.manifest["files"].items()}
    there = {
        path.relative_to(folder.root).as_posix()
        for path in folder.root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    there -= {MANIFEST, SIGNATURE}
    outside = [name for name in listed if name.startswith("/") or ".." in name.split("/") or "\\" in name]
    if outside:
        raise Wrong(f"{MANIFEST} names a file outside the folder: {', '.join(sorted(outside))}")
    links = sorted(name for name in there if (folder.root / name).is_symlink())
    faults = [f"{name} is a link, and not a file of this folder" for name in links]
    faults += [
        f"{name} was changed: its sha256 is not the one in {MANIFEST}"
        for name in sorted(listed.keys() & there - set(links))
        if sha256(folder.bytes(name)) != listed[name]
    ]
    faults += [f"{name} is missing" for name in sorted(listed.keys() - there)]
    faults += [f"{name} was added: {MANIFEST} does not name it" for name in sorted(there - listed.keys())]
    if faults:
        raise Wrong("; ".join(faults))
    return f"{len(listed)} files have the sha256 in {MANIFEST}, none is missing, none was added"


def signature(folder: Folder, allowed: Path | None, at: str = "") -> str:
    if not folder.has(SIGNATURE):
        if allowed is not None:
            raise Wrong(f"{SIGNATURE} is missing: nobody signed this folder")
        raise Open("nobody signed this folder: it shows its own wholeness and not who made it")
    content, place = folder.bytes(MANIFEST), folder.root / SIGNATURE
    if allowed is None:
        keygen(content, place, NAMESPACE, ["check-novalidate"])
        raise Open(
            f"{SIGNATURE} is a valid signature over {MANIFEST}, of a key that nobody vouches for here: give "
            "--allowed-signers FILE, from a source other than this folder, to check whose it is"
        )
    if not allowed.is_file():
        raise Wrong(f"{allowed} is missing: --allowed-signers needs a file of names and public keys")
    who, then = signer(content, place, NAMESPACE, allowed, when=at), f", valid at {at}" if at else ""
    return f"signed by {who}, whose key is in {allowed.name}{then}"


def signer(content: bytes, place: Path, namespace: str, allowed: Path, name: str = "", when: str = "") -> str:
    """The name that `allowed` gives the key of the signature `place`; `name`: the one that it must have then."""
    # ssh-keygen reads a time without a zone as one of this machine; older ones know no other.
    at = [f"-Overify-time={datetime.fromisoformat(when).astimezone():%Y%m%d%H%M%S}"] if when else []
    why = f"its key is not in {allowed}, or its time is over"
    found = keygen(content, place, namespace, ["find-principals", "-f", str(allowed), *at], why)
    who = name or found.splitlines()[0].strip()
    keygen(content, place, namespace, ["verify", "-f", str(allowed), "-I", who, *at])
    return who


def keygen(content: bytes, place: Path, namespace: str, arguments: list[str], why: str = "it is not valid") -> str:
    """Run ssh-keygen -Y on the signature `place` over the content."""
    command = ["ssh-keygen", "-Y", *arguments, "-s", str(place)]
    if arguments[0] != "find-principals":
        command += ["-n", namespace]
    try:
        ended = subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise Open("ssh-keygen is not installed here, so the signature cannot be checked") from error
    if ended.returncode:
        message = " ".join((ended.stderr or ended.stdout).decode("utf-8", "replace").split())
        raise Wrong(f"{place.name}: {why} ({message or f'exit code {ended.returncode}'})")
    return ended.stdout.decode("utf-8", "replace")


def envelopes(folder: Folder) -> str:
    """Each statement is in an envelope and the served model in model.sig, all signed by the key of the manifest."""
    names = sorted(name for name in folder.manifest["files"] if name.startswith(f"{ENVELOPES}/"))
    if not names and not folder.has(MODEL_SIGNATURE):
        raise Open(f"no statement is in a signed envelope of its own: {MANIFEST} names each by its sha256")
    signed: dict[str, dict[str, Any]] = {}
    for name in names:
        statement = f"statements/{name.partition('/')[2]}"
        with parsing(name):
            signed[name] = folder.json(name)
            if payload(signed[name]) != folder.bytes(statement):
                raise Wrong(f"{name} holds another statement than {statement}")
    left = sorted({name.partition("/")[2] for name in folder.statements} - {name.partition("/")[2] for name in names})
    if left:
        raise Wrong(f"{ENVELOPES}/ has no {', '.join(left)}")
    words = f"{len(names)} statements"
    if folder.has(MODEL_SIGNATURE):
        with parsing(MODEL_SIGNATURE):
            signed[MODEL_SIGNATURE] = folder.json(MODEL_SIGNATURE)["dsseEnvelope"]
            signs_model(folder, json.loads(payload(signed[MODEL_SIGNATURE])))
        words += " and the files of the served model"
    if not folder.has(SIGNATURE):
        raise Wrong(f"{SIGNATURE} is missing, whose key must have signed {ENVELOPES}/")
    key = signing_key(folder)
    for name, envelope in signed.items():
        with parsing(name):
            verified(name, key, envelope)
    return f"{words} are signed one by one, by the key of {SIGNATURE}"


def payload(envelope: dict[str, Any]) -> bytes:
    if envelope["payloadType"] != PAYLOAD:
        raise ValueError(f"payloadType {envelope['payloadType']}")
    return base64.b64decode(envelope["payload"], validate=True)


def signs_model(folder: Folder, statement: dict[str, Any]) -> None:
    """The statement of model.sig names the files of the served model and their sha256, and nothing else."""
    if statement["_type"] != STATEMENT or statement["predicateType"] != MODEL_PREDICATE:
        raise Wrong(f"{MODEL_SIGNATURE} is no signature of OpenSSF model signing")
    resources = statement["predicate"]["resources"]
    stated = {one["name"]: one["digest"] for one in resources if one["algorithm"] == "sha256"}
    recorded = folder.model_files
    if len(stated) != len(resources) or stated != recorded:
        other = next(iter(sorted({name for name, _ in stated.items() ^ recorded.items()})), "a file twice")
        raise Wrong(f"{MODEL_SIGNATURE} is not over the files that served-model.json names, such as {other}")
    every = sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources))
    if [one["digest"] for one in statement["subject"]] != [{"sha256": every}]:
        raise Wrong(f"{MODEL_SIGNATURE}: its subject is not the sum of the files that it names")


def signing_key(folder: Folder) -> Any:
    """The public key in the manifest's signature (openssh's PROTOCOL.sshsig), as a key of the package cryptography."""
    try:
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    except ImportError as error:
        raise Open(
            f"whether the signatures in {ENVELOPES}/ are valid: the package `cryptography` is not installed here. Each "
            "payload is the statement that it should be"
        ) from error
    with parsing(SIGNATURE):
        lines = folder.bytes(SIGNATURE).decode("ascii").split("-----")[2]
        content = base64.b64decode("".join(lines.split()), validate=True)
        if content[:6] != b"SSHSIG":
            raise ValueError("no signature of ssh-keygen")
        key = content[14 : 14 + int.from_bytes(content[10:14], "big")]
        kind = key[4 : 4 + int.from_bytes(key[:4], "big")]
        return load_ssh_public_key(kind + b" " + base64.b64encode(key))


def verified(name: str, key: Any, envelope: dict[str, Any]) -> None:
    """The envelope (DSSE v1) has one signature, by the key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    content, (one,) = payload(envelope), envelope["signatures"]
    signed = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(content), content)
    sizes: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    how = [ec.ECDSA(sizes[key.key_size])] if isinstance(key, ec.EllipticCurvePublicKey) else []
    try:
        key.verify(base64.b64decode(one["sig"], validate=True), signed, *how)
    except InvalidSignature as error:
        raise Wrong(f"{name}: it is not signed by the key of {SIGNATURE}") from error


# 2. The chain of decisions, and who decided.


def events(folder: Folder) -> str:
    chain, head = folder.events, folder.manifest["head"]
    if not chain:
        raise Wrong("events.jsonl has no event")
    last: dict[str, Any] = {}
    for place, event in enumerate(chain, 1):
        content = {key: value for key, value in event.items() if key != "hash"}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        if event.get("number") != place:
            raise Wrong(f"events.jsonl: event {place} is missing, event {event.get('number')} is in its place")
        if sha256(text.encode()) != event.get("hash"):
            raise Wrong(f"events.jsonl: event {place} was changed, its content does not have its hash")
        if event.get("previous") != last.get("hash", ""):
            raise Wrong(f"events.jsonl: event {place} does not follow from the one before")
        if event.get("before") != last.get("after", {}):
            raise Wrong(f"events.jsonl: event {place} begins with other aliases than the one before left")
        last = event
    if {"number": last["number"], "hash": last["hash"]} != head:
        raise Wrong(f"events.jsonl ends with event {last['number']}, {MANIFEST} says {head['number']} or another hash")
    if last["version"] != folder.manifest["version"]:
        raise Wrong(f"events.jsonl ends with an event about version {last['version']}")
    return f"{len(chain)} event(s), each with the hash of the one before, up to {last['hash'][:12]}: {last['action']}"


def anchor(folder: Folder, path: Path | None) -> str:
    if path is None:
        raise Open(
            "the chain against git's anchor: give --anchor FILE, the output of `git show REF:events` in the project's "
            f"repository, where REF is the ref below refs/kshot/history that ends in {folder.manifest['history']}"
        )
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Wrong(f"{path} cannot be read: {error}") from error
    anchored = [line.split()[-1] for line in lines if line.strip()]
    for place, event in enumerate(folder.events, 1):
        if place > len(anchored):
            raise Wrong(f"{path.name} anchors {len(anchored)} event(s), and not event {place} of events.jsonl")
        if anchored[place - 1] != event["hash"]:
            raise Wrong(f"events.jsonl: event {place} is not the one that {path.name} anchors: the chain was rewritten")
    return f"all {len(folder.events)} event(s) are those that {path.name} anchors"


def persons(folder: Folder, allowed: Path | None) -> str:
    """Each decision of a person about the version that had to be signed is, by somebody who may."""
    decided = [event for event in folder.events if event.get("action") in PERSONAL]
    signed, left = [], []
    for event in decided:
        what, must = f"event {event['number']} ({event['action']})", required(folder.events, event)
        try:
            if not event.get("signature"):
                if must:
                    raise Wrong("is not signed, although gate.approval was signed")
                continue
            signed.append(f"{what} signed by {decided_by(folder, event, allowed)}")
        except Open as reason:
            left.append(f"{what} {reason}")
        except Wrong as wrong:
            if must and event["version"] == folder.manifest["version"]:
                raise Wrong(f"events.jsonl: {what} {wrong}") from wrong
            left.append(f"{what} {wrong}, and did not have to be signed" if not must else f"{what} {wrong}")
    if left:
        raise Open("; ".join([*left, *signed]))
    if not decided:
        return f"no person decided in the {len(folder.events)} event(s)"
    none = "no decision of a person is signed, and none had to be"
    return "; ".join(signed) + (f", by the keys in {allowed.name}" if allowed and signed else "") or none


def required(every: list[dict[str, Any]], event: dict[str, Any]) -> bool:
    """Whether the event, the gate's last one about the version before it, or its last one about any, says `signed`."""
    judged = [one for one in every[: event["number"] - 1] if one.get("action") in GATE]
    about = [one for one in judged if one.get("version") == event["version"]]
    return any(one.get("approval") == SIGNED for one in (event, *about[-1:], *judged[-1:]))


def decided_by(folder: Folder, event: dict[str, Any], allowed: Path | None) -> str:
    """The signer of the event, whose signed text and signature lie in signed/ too."""
    content = {key: value for key, value in event.items() if key not in ("hash", "signer", "signature")}
    text, name = json.dumps(content, sort_keys=True, ensure_ascii=False).encode(), f"signed/{event['number']:04d}.json"
    for file, expected in ((name, text), (f"{name}.sig", event["signature"].encode())):
        if folder.bytes(file) != expected:
            raise Wrong(f"is not what {file} says")
    place = folder.root / f"{name}.sig"
    keygen(text, place, DECISION, ["check-novalidate"], "it is not a signature of this event")
    if allowed is None:
        raise Open("has a valid signature, of a key that nobody vouches for here: give --allowed-signers FILE")
    return signer(text, place, DECISION, allowed, event.get("signer", ""), event["when"])


# 3. The record: run, stages and data.


def record(folder: Folder) -> str:
    """The served model's manifest is named by the event, and names the files of the run that the folder repeats."""
    last, content = folder.events[-1], folder.bytes("served-model.json")
    if sha256(content) != last.get("manifest"):
        raise Wrong(f"served-model.json is not the manifest that event {last['number']} names")
    kept, tags = folder.served["run"], folder.served["tags"]
    ours = {name[len("run/") :]: value for name, value in folder.manifest["files"].items() if name.startswith("run/")}
    other = sorted(f"run/{name}" for name, value in ours.items() if kept.get(name) != value)
    if other:
        raise Wrong(f"{', '.join(other)}: not as served-model.json names it, which was written at registration")
    for name, field in (("lineage", "lineage"), ("data_version", "data_version")):
        if tags.get(f"kshot.{name}") != folder.manifest[field]:
            raise Wrong(f"{MANIFEST} names another {name} than served-model.json: {tags.get(f'kshot.{name}')}")
    lock = sha256(folder.bytes("run/dvc.lock"))
    if lock[: len(tags["kshot.dvc_lock_hash"])] != tags["kshot.dvc_lock_hash"]:
        raise Wrong("run/dvc.lock is not the one that was registered")
    return (
        f"served-model.json is named by event {last['number']}, and {len(ours)} files of the run are as it names them"
    )


def statements(folder: Folder) -> str:
    """Each stage's inputs are outputs of stages before, and all of them give the version's lineage."""
    if not folder.statements:
        raise Wrong("statements/ has no statement")
    made: dict[str, str] = {}  # path to md5
    inputs: dict[str, Any] = {}
    unchecked: list[str] = []
    for place, (name, one) in enumerate(folder.statements.items(), 1):
        with parsing(name):
            stage = stage_of(folder, place, name, one)
            inputs[stage] = inputs_of(name, one)
            unchecked += [f"{stage} reads {path}" for path in unlisted(folder, made, name, inputs[stage]["deps"])]
            made.update({f["name"]: md5_of(f) for f in one["subject"]})
    text = json.dumps(inputs, sort_keys=True, default=str)
    if sha256(text.encode())[:16] != folder.manifest["lineage"]:
        raise Wrong("statements/ do not give the lineage that was registered: a statement was left out or changed")
    recorded = folder.served["tags"].get("kshot.episodes_hash")
    if made.get("data/episodes") != recorded:
        raise Wrong("statements/: the episodes are not those that were registered")
    words = f"{len(inputs)} stages, each reads what a stage before wrote, and together they give the registered lineage"
    if unchecked:
        raise Open(f"{words}; but not whether {', '.join(unchecked)} as written: the listing of that folder is gone")
    return words


def stage_of(folder: Folder, place: int, name: str, one: dict[str, Any]) -> str:
    """The stage of a statement, which must be an in-toto statement about the folder's run, its place in its name."""
    if one["_type"] != STATEMENT or one["predicateType"] != PREDICATE:
        raise Wrong(f"{name} is no in-toto statement v1 with SLSA provenance v1")
    stage = str(one["predicate"]["buildDefinition"]["externalParameters"]["stage"])
    if name != f"statements/{place:02d}-{stage}.json":
        raise Wrong(f"{name} is about stage {stage}, or a statement before it was left out")
    if one["predicate"]["runDetails"]["metadata"]["invocationId"] != folder.manifest["run"]:
        raise Wrong(f"{name} is about another run than {MANIFEST}")
    return stage


def inputs_of(name: str, one: dict[str, Any]) -> dict[str, Any]:
    """The stage's inputs as the lineage has them, which the other fields of the statement must repeat."""
    built = one["predicate"]["buildDefinition"]
    inputs, external = dict(built["internalParameters"]["inputs"]), built["externalParameters"]
    declared, code = (
        {f["name"]: md5_of(f) for f in built["resolvedDependencies"] if f.get("annotations") == {"role": role}}
        for role in ("input", "code")
    )
    shown, prints = {}, {path: md5 for path, md5 in inputs["deps"].items() if path.endswith(".py")}
    for file, values in inputs["params"].items():
        if file.startswith("fingerprints/"):
            prints.update(values)
        else:
            shown[file] = values
    for found, recorded, fault in (
        (declared, inputs["deps"], "resolvedDependencies are not the inputs of the stage"),
        (external["command"], inputs["cmd"], "the command is not the one of the stage"),
        (code, built["internalParameters"]["code"], "resolvedDependencies are not the code of the stage"),
        (external["params"], shown, "the params are not those of the stage"),
        (
            code,
            {path: md5 for path, md5 in prints.items() if ENTRY not in path},
            "the code is not the code of the stage",
        ),
    ):
        if found != recorded:
            raise Wrong(f"{name}: {fault}")
    return inputs


def unlisted(folder: Folder, made: dict[str, str], name: str, deps: dict[str, str]) -> Iterator[str]:
    """The paths in `deps` that cannot be checked; every other one must be an output of a stage before."""
    for path, md5 in deps.items():
        version = f"{folder.manifest['data_version']}.dir"
        expected = version if path == "data/raw" else output(folder, made, path)
        if expected is None:
            yield path
        elif expected != md5:
            raise Wrong(f"{name}: {path} is not the output of the stage before: {md5}, not {expected}")


def md5_of(entry: dict[str, Any]) -> str:
    digest = entry["digest"]
    return f"{digest['dvcDirectoryMd5']}.dir" if "dvcDirectoryMd5" in digest else str(digest.get("md5", ""))


def output(folder: Folder, made: dict[str, str], path: str) -> str | None:
    """The md5 of `path` as a stage before wrote it, itself or in a folder; None if the folder's listing is gone."""
    if path in made:
        return made[path]
    for parent, md5 in made.items():
        if path.startswith(f"{parent}/") and md5.endswith(".dir"):
            found = listing(folder, md5)
            return None if found is None else found.get(path[len(parent) + 1 :], "nothing")
    return "nothing"


def listing(folder: Folder, md5: str) -> dict[str, str] | None:
    """Path to md5 of a folder that DVC recorded by the md5 of this listing."""
    name = f"listings/{md5.split('.')[0]}.json"
    if not folder.has(name):
        return None
    if hashlib.md5(folder.bytes(name)).hexdigest() != md5.split(".")[0]:
        raise Wrong(f"{name} has not the md5 in its name")
    return {entry["relpath"]: entry["md5"] for entry in folder.json(name)}


def data(folder: Folder) -> str:
    version = folder.manifest["data_version"]
    found = listing(folder, f"{version}.dir")
    if found is None:
        raise Open(f"the listing of data version {version[:8]} is gone")
    table = folder.bytes("data/manifest.csv")
    if hashlib.md5(table).hexdigest() != found.get("manifest.csv"):
        raise Wrong(f"data/manifest.csv is not the one of data version {version[:8]}")
    rows = folder.rows("data/manifest.csv")
    lost = sorted({row["path"] for row in rows} ^ (found.keys() - {"manifest.csv"}))
    if lost:
        raise Wrong(f"data/manifest.csv and the listing name other images: {lost[0]}")
    classes: dict[str, int] = {}
    for row in rows:
        classes[row["class"]] = classes.get(row["class"], 0) + 1
    with parsing("data/croissant.json"):
        croissant = folder.json("data/croissant.json")
        sets = {one["@id"]: one for one in croissant["recordSet"]}
        stated = {row["classes/name"]: row["classes/images"] for row in sets["classes"]["data"]}
        files_stated = {one["@id"]: one for one in croissant["distribution"]}
        if stated != classes:
            raise Wrong("data/croissant.json: the classes and their counts are not those of data/manifest.csv")
        if files_stated["manifest.csv"]["sha256"] != sha256(table) or croissant["version"] != version:
            raise Wrong("data/croissant.json is about another data version")
    return f"data version {version[:8]}: {len(rows):,} images of {len(classes)} classes, by their md5; no image is here"


# 4. Accuracies, comparisons and the decision.


def accuracies(folder: Folder) -> str:
    """Accuracies, intervals, groups and classes follow from the stored predictions."""
    metrics, served = folder.json("run/metrics.json"), folder.served["tags"]
    if metrics.get("intervals", 1) != 2:
        raise Open(f"the intervals are of method {metrics.get('intervals', 1)}, which this verify.py does not know")
    found = means(folder, "predictions")
    recorded = {name: (one["mean"], one["low"], one["high"]) for name, one in metrics["accuracy"].items()}
    same("run/metrics.json", recorded, found, SIX_DIGITS)
    if "kshot.accuracy" in served:
        same("the tag kshot.accuracy in served-model.json", json.loads(served["kshot.accuracy"]), found, SIX_DIGITS)
    cells = folder.rows("predictions/cells.csv")
    queries, right = sums(cells, ("protocol", "episode"))
    for row in folder.rows("predictions/episodes.csv"):
        key = row["protocol"], row["episode"]
        if not near(float(row["accuracy"]), right[key] / queries[key] if queries.get(key) else -1.0, 1e-6):
            raise Wrong(
                f"predictions/episodes.csv: {key[0]}, episode {key[1]} does not follow from predictions/cells.csv"
            )
    for column in ("group", "class"):
        name = f"run/evaluation/{'groups' if column == 'group' else 'classes'}.csv"
        key_columns = ("protocol", column) if column == "group" else ("protocol", "class", "rotation")
        queries, right = sums(cells, key_columns)
        for row in folder.rows(name):
            label = tuple(row[one] for one in key_columns)
            if not queries.get(label) or not near(float(row["accuracy"]), right[label] / queries[label], 1e-6):
                raise Wrong(f"{name}: {' '.join(label)} does not follow from predictions/cells.csv")
    evaluation(folder)
    words = ", ".join(
        f"{name} {100 * one[0]:.2f} % [{100 * one[1]:.2f}, {100 * one[2]:.2f}]" for name, one in found.items()
    )
    return f"{words}: means and intervals follow from predictions/, groups and classes too"


def evaluation(folder: Folder) -> None:
    """The tables of the run are, byte for byte, the output of stage evaluate."""
    start = "run/evaluation/"
    tables = {
        name.removeprefix(start): folder.bytes(name) for name in folder.manifest["files"] if name.startswith(start)
    }
    if folder.outputs.get("reports/evaluation") != md5_of_folder(tables):
        raise Wrong("run/evaluation is not what stage evaluate wrote, by the statement of that stage")
    if folder.outputs.get("reports/metrics.json") != hashlib.md5(folder.bytes("run/metrics.json")).hexdigest():
        raise Wrong("run/metrics.json is not what stage evaluate wrote, by the statement of that stage")


def md5_of_folder(contents: dict[str, bytes]) -> str:
    """DVC's md5 of a folder with these files."""
    entries = [{"md5": hashlib.md5(contents[path]).hexdigest(), "relpath": path} for path in sorted(contents)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def means(folder: Folder, place: str) -> dict[str, Interval]:
    """Protocol to mean and interval of the episodes in `place`."""
    found: dict[str, list[float]] = {}
    for row in folder.rows(f"{place}/episodes.csv"):
        found.setdefault(row["protocol"], []).append(float(row["accuracy"]))
    return {name: ratio_interval(values, [1.0] * len(values)) for name, values in found.items()}


def comparisons(folder: Folder) -> str:
    """The differences to other versions follow from both models' predictions."""
    evidence, rules = folder.decision["evidence"], folder.decision["rules"]
    same("decision.json", evidence["accuracy"], means(folder, "predictions"), EXACT)
    words: list[str] = []
    gone: list[str] = []
    for one in evidence["comparisons"]:
        who, place = f"{one['role']} {one['version']}", f"compared/{one['version']}"
        if not folder.has(f"{place}/episodes.csv"):
            gone.append(who)
            continue
        opponent(folder, one["version"], place)
        recorded_ = {name: with_ends(figures) for name, figures in one["difference"].items()}
        same(f"decision.json, the difference to {who}", recorded_, differences(folder, place, one), EXACT)
        for kind, column in (("groups", "group"), ("classes", "label")):
            recorded = {(row["protocol"], row["name"]): row for row in one[kind]}
            is_compared = rules["group_protocol"] in one["difference"]
            found = changes(folder, place, rules["group_protocol"], column) if is_compared else {}
            if kind == "groups" and not recorded and {name for _, name in found} <= {""}:
                continue  # the classes have no groups
            if recorded.keys() != found.keys():
                raise Wrong(f"decision.json, the {kind} compared with {who}, are not those of the predictions")
            for key, row in recorded.items():
                if not figures_near(
                    [row["old"], row["new"], *with_ends(row["difference"]), row["episodes"]], found[key]
                ):
                    raise Wrong(f"decision.json, {key[1]} of the {kind} compared with {who}, does not follow")
        words.append(who)
    text = (
        f"the differences to {', '.join(words)} follow from both models' predictions"
        if words
        else ("there was no version to compare with" if not gone else "the accuracies of the evidence follow")
    )
    if gone:
        raise Open(f"{text}; the differences to {', '.join(gone)} cannot be checked: those predictions are gone")
    return text


def opponent(folder: Folder, version: str, place: str) -> None:
    """The other model's stored tables are those that the record names by sha256."""
    fresh = folder.decision.get("answered_anew", {}).get(version)
    for table in ("episodes", "cells"):
        name = f"{place}/{table}.parquet"
        found = sha256(folder.bytes(name))
        if fresh:
            if fresh.get(table) != found:
                raise Wrong(f"{name} is not the table that decision.json names")
        elif folder.has(f"{place}/served-model.json"):
            theirs = folder.bytes(f"{place}/served-model.json")
            if sha256(theirs) not in {event.get("manifest") for event in folder.events if event["version"] == version}:
                raise Wrong(f"{place}/served-model.json is named by no event about version {version}")
            if json.loads(theirs)["run"].get(f"evaluation/{table}.parquet") != found:
                raise Wrong(f"{name} is not the table of version {version}'s run")


def differences(folder: Folder, place: str, recorded: dict[str, Any]) -> dict[str, Interval]:
    ours, theirs = (
        {(row["protocol"], row["episode"]): float(row["accuracy"]) for row in folder.rows(f"{one}/episodes.csv")}
        for one in ("predictions", place)
    )
    found: dict[str, tuple[list[float], list[float]]] = {}
    for key in ours:
        if key in theirs:
            pair = found.setdefault(key[0], ([], []))
            pair[0].append(ours[key])
            pair[1].append(theirs[key])
    compared = recorded["difference"] if recorded["role"] == "best champion" else found
    return {
        name: ratio_difference(one, other, [1.0] * len(one)) for name, (one, other) in found.items() if name in compared
    }


def changes(folder: Folder, place: str, protocol: str, column: str) -> dict[tuple[str, str], list[float]]:
    """Old and new accuracy, difference and its interval, and number of episodes, by group or class."""
    old = {tuple(row[one] for one in CELL): row for row in folder.rows(f"{place}/cells.csv")}
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in folder.rows("predictions/cells.csv"):
        key = tuple(row[one] for one in CELL)
        if row["protocol"] != protocol or key not in old:
            continue
        turns = int(float(row["rotation"]))
        label = row["class"] + (f" @{90 * turns}" if turns else "")
        name = row["group"] if column == "group" else label
        episode = found.setdefault((protocol, name), {}).setdefault(row["episode"], [0.0, 0.0, 0.0])
        for place_, value in enumerate((old[key]["queries"], old[key]["right"], row["right"])):
            episode[place_] += float(value)
    result = {}
    for name_, episodes in found.items():
        queries, was, now = (list(column_) for column_ in zip(*episodes.values(), strict=True))
        difference = ratio_difference(now, was, queries)
        result[name_] = [sum(was) / sum(queries), sum(now) / sum(queries), *difference, float(len(episodes))]
    return result


def decision(folder: Folder) -> str:
    """The decision follows from its evidence by its rules, and is the one of the event."""
    recorded, event = folder.decision, folder.judged
    assert event is not None
    same_rules(folder, recorded, event)
    same_plan(recorded.get("change_plan"), event)
    champion, compared = event["before"].get("champion"), recorded["evidence"]["comparisons"]
    if recorded["evidence"]["champion"] != champion or (champion is not None) != any(
        one["role"] == "champion" and one["version"] == champion for one in compared
    ):
        raise Wrong("decision.json compares with another champion than the event before left")
    findings = decide(recorded["evidence"], recorded["rules"])
    same_findings(findings, recorded["decision"], event)
    words = (
        f"{event['action']} by the gate, {event['when'][:16]} UTC: {len(findings)} finding(s) decided again, the same"
    )
    last = folder.events[-1]
    if last["number"] != event["number"]:
        words += f"; then {last['action']} by {last['who']['name']}: {last['why']}"
    before = {one["after"].get("champion") for one in folder.events[: event["number"] - 1]}
    missed = sorted(before - {None, folder.manifest["version"]} - {one["version"] for one in compared})
    if recorded["rules"]["reference"] == "best" and missed:
        raise Open(
            f"{words}; but not whether version {', '.join(missed)}, a champion before, was better on these episodes: "
            "only the registry has that"
        )
    return words


def same_rules(folder: Folder, recorded: dict[str, Any], event: dict[str, Any]) -> None:
    """The recorded decision is about this version, and the event has the same rules and kind of approval."""
    for name, value in recorded.get("about", {}).items():
        if folder.served["tags"].get(f"kshot.{name}") != value:
            raise Wrong(f"decision.json is about a version with another {name}")
    if (event.get("approval") == SIGNED) != (recorded["rules"].get("approval") == SIGNED):
        raise Wrong(f"decision.json: its rules name another approval than event {event['number']}")
    if event.get("approval") == SIGNED and event["action"] == "promoted":
        raise Wrong(f"event {event['number']} is the gate's own promotion, although gate.approval was signed")
    rules = {key: value for key, value in recorded["rules"].items() if not key.startswith("approval")}
    if sha256(json.dumps(rules, sort_keys=True).encode())[:16] != event["rules"]:
        raise Wrong(f"decision.json: its rules have not the hash that event {event['number']} names")


def same_plan(plan: dict[str, Any] | None, event: dict[str, Any]) -> None:
    """The change plan and the one before have the hashes that they name, and the gate promoted no change outside it."""
    if not plan:
        return
    if any(one and sha256(one["text"].encode()) != one["sha256"] for one in (plan, plan.get("before"))):
        raise Wrong("decision.json: its change plan has not the hash that it names")
    if plan["outside"] and event["action"] == "promoted":
        raise Wrong(f"event {event['number']} is the gate's own promotion, although {plan['outside'][0]}")


def same_findings(findings: list[dict[str, Any]], recorded: dict[str, Any], event: dict[str, Any]) -> None:
    """The findings and the decision that follows from them are the recorded ones, and the event is that decision."""
    failed = {one["rule"] for one in findings if not one["holds"]}
    if event["action"] == "promoted" and GALLERY_WAITS in failed:
        raise Wrong(f"event {event['number']} is the gate's own promotion, although a gallery asks for a person")
    ours, theirs = sorted(map(fact, findings)), sorted(map(fact, recorded["findings"]))
    if ours != theirs:
        other = next(iter(set(ours) ^ set(theirs)), ours[0] if ours else ())
        raise Wrong(f"decision.json: its findings do not follow from its evidence by its rules, such as {other}")
    promote = failed <= set(REPORTED_ONLY)
    if promote != recorded["promote"] or promote != GATE[event["action"]]:
        raise Wrong(
            f"decision.json: by its rules the model is {'promoted' if promote else 'refused'}, event says other"
        )


def decide(evidence: dict[str, Any], rules: dict[str, Any]) -> list[dict[str, Any]]:
    """The gate's rules, applied to recorded figures; each finding with the fields of decision.json."""
    findings = [
        finding("min_accuracy", evidence["accuracy"][protocol][0] >= least - ROUNDED, protocol, least)
        for protocol, least in rules["min_accuracy"].items()
    ]
    for one in evidence["comparisons"]:
        findings += [*losses_by_protocol(one, rules), *drops(one, rules)]
    return [*findings, *gallery_losses(evidence, rules)]


def finding(rule: str, holds: bool, protocol: str, limit: float, name: str = "", against: str = "") -> dict[str, Any]:
    return {"rule": rule, "holds": holds, "protocol": protocol, "limit": limit, "name": name, "against": against}


def losses_by_protocol(one: dict[str, Any], rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Whether the difference to a version is within the margin, and no significant loss, by protocol."""
    who, margin = f"{one['role']} {one['version']}", rules["non_inferiority_margin"]
    # A version may lack protocols: then those that it has are judged, or the easiest that both have.
    protocols = [protocol for protocol in rules["min_accuracy"] if protocol in one["difference"]]
    if not protocols and one["role"] != "best champion":
        protocols = sorted(one["difference"], key=easiest)[:1]
    for protocol in protocols:
        _, low, high = numbers(one["difference"][protocol])
        yield finding("non_inferiority", low >= -margin - ROUNDED, protocol, margin, "", who)
        allowed = rules["significantly_worse"] == "allow" or not high < 0  # one episode: NaN
        yield finding("not_significantly_worse", allowed, protocol, 0.0, "", who)


def drops(one: dict[str, Any], rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The groups, and against the champion the classes, that lost more than the limit; the worst group in any case."""
    for rule, some in (("max_group_drop", one["groups"]), ("max_class_drop", one["classes"])):
        if rule == "max_class_drop" and one["role"] != "champion":
            continue
        limit = rules[rule]
        ordered = sorted(some, key=lambda row: (row["difference"][0], row["name"]))
        beyond = holm([probability_beyond(row["difference"], -limit - ROUNDED, row["episodes"]) for row in ordered])
        for place, row in enumerate(ordered):
            if -row["difference"][0] > limit + ROUNDED or (place == 0 and rule == "max_group_drop"):
                holds, who = not beyond[place] < SIGNIFICANT, f"{one['role']} {one['version']}"
                yield finding(rule, holds, row["protocol"], limit, row["name"], who)


def gallery_losses(evidence: dict[str, Any], rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The galleries that lost more than the margin, and the worst one in any case."""
    margin = rules.get("gallery_margin")
    if margin is None or evidence["champion"] is None:
        return
    rule = "gallery_margin" if rules["gallery_loss"] == "refuse" else GALLERY_WAITS
    some = sorted(map(gallery, filter(lambda one: one["counts"], evidence["galleries"])), key=WORST)
    ends = [probability_beyond(list(interval), -margin - ROUNDED, classes) for *interval, _, classes in some]
    for place, (probability, (mean, _, _, name, _)) in enumerate(zip(holm(ends), some, strict=True)):
        if place == 0 or -mean > margin + ROUNDED:
            yield finding(rule, not probability < SIGNIFICANT, "", margin, name, f"champion {evidence['champion']}")


def easiest(protocol: str) -> list[tuple[int, str]]:
    """The order of protocols, with numbers by their value: 5w1s, 5w5s, 20w1s."""
    return [(len(part), part) for part in re.split(r"(\d+)", protocol)]


def gallery(one: dict[str, Any]) -> tuple[float, float, float, str, int]:
    """The difference of a gallery with its interval, its name, and how many classes were tested, from its counts."""
    rows: list[tuple[float, float, float]] = []
    for examples, before, after, classes in one["counts"]:
        if not (0 <= before <= examples and 0 <= after <= examples and classes > 0):
            raise Wrong(f"decision.json: the counts of gallery {one['gallery']} cannot be")
        rows += [(examples, before, after)] * classes
    total, before, after = (list(column) for column in zip(*rows, strict=True))
    mean, low, high = ratio_difference(after, before, total)
    return mean, low, high, one["gallery"], len(rows)


def fact(finding: dict[str, Any]) -> tuple[Any, ...]:
    change = finding.get("change")
    name = finding["name"] if "name" in finding else (change or {}).get("name", "")
    return finding["rule"], finding["protocol"], finding["against"], name, finding["holds"], finding["limit"]


# 5. The documents for people, and the model.


def card(folder: Folder) -> str:
    """The bill of material and the model card repeat the figures of the run."""
    metrics = folder.json("run/metrics.json")["accuracy"]
    with parsing("bom.json"):
        bom = folder.json("bom.json")
        model = bom["metadata"]["component"]
        stated = {
            one["slice"]: (
                float(one["value"]),
                *(float(one["confidenceInterval"][f"{end}Bound"]) for end in ("lower", "upper")),
            )
            for one in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
            if one["type"] == "accuracy" and "confidenceInterval" in one
        }
        same("bom.json", stated, {name: (one["mean"], one["low"], one["high"]) for name, one in metrics.items()}, 1e-12)
        hashes = {
            one["name"]: one["hashes"][0]["content"] for one in model.get("components", []) if one["type"] == "file"
        }
        for name, value in hashes.items():
            if folder.served["model"].get(name) != value:
                raise Wrong(f"bom.json: {name} has another sha256 than in served-model.json")
        packages = {one["name"]: one["version"] for one in bom["components"] if one["type"] == "library"}
        if packages != folder.json("run/environment.json")["packages"]:
            raise Wrong("bom.json: its libraries are not those of run/environment.json")
    text = folder.bytes("card.md").decode("utf-8", "replace")
    for name, one in metrics.items():
        if f"{100 * one['mean']:.2f} % [{100 * one['low']:.2f}, {100 * one['high']:.2f}]" not in text:
            raise Wrong(f"card.md does not say the accuracy of {name} as run/metrics.json does")
    return f"bom.json and card.md say the accuracies of run/metrics.json; {len(packages)} packages as recorded"


def model(folder: Folder, given: Path | None) -> str:
    """The files of a model match the manifest of the served model."""
    place = given or (folder.root / "model" if (folder.root / "model").is_dir() else None)
    if place is None:
        raise Open("the served model is not here: give --model DIR, the folder that is loaded")
    if not place.is_dir():
        raise Wrong(f"{place} is no folder")
    recorded = folder.model_files
    paths = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    found = {name: sha256(path.read_bytes()) for name, path in paths.items() if name != WRITTEN_LATER}
    if faults := changed_files(recorded, found):
        raise Wrong("; ".join(f"{place}: {fault}" for fault in faults))
    start = "artifacts/embedding/"
    trained = {name.removeprefix(start): paths[name].read_bytes() for name in recorded if name.startswith(start)}
    weights = {name: content for name, content in trained.items() if name not in ADDED_LATER}
    if folder.outputs.get("model") != md5_of_folder(weights):
        raise Wrong(f"{place}: its weights are not what stage train wrote, by the statement of that stage")
    gone = ", ".join(folder.manifest.get("erased", {}).get("files", ()))
    erased = f", but for {gone}, which {MANIFEST} says was erased on purpose" if gone else ""
    return (
        f"{len(recorded)} files of {place.name} are as registered{erased}, and the weights are what stage train wrote"
    )


def changed_files(recorded: dict[str, str], found: dict[str, str]) -> list[str]:
    """The files whose sha256 is not as recorded, that are missing, and that were added."""
    changed = sorted(name for name in recorded.keys() & found.keys() if found[name] != recorded[name])
    return [
        *(f"{name} was changed" for name in changed),
        *(f"{name} is missing" for name in sorted(recorded.keys() - found.keys())),
        *(f"{name} was added" for name in sorted(found.keys() - recorded.keys())),
    ]


def limits(folder: Folder) -> str:
    weak = [f"{name} ({state})" for name, state in folder.manifest.get("audit", {}).items() if state != "verified"]
    audit = f"; the audit before the folder was written did not verify: {', '.join(weak)}" if weak else ""
    raise Open(
        "whether the stages computed what they wrote (kshot reproduce does), whether images and labels are right, "
        "whether the .csv tables hold what the .parquet tables do (compare them with any reader of parquet), "
        f"whether the clock was right{audit}"
    )


# Arithmetic: kshot.statistics, written again with Python's standard library alone.


def ratio_interval(correct: list[float], total: list[float]) -> Interval:
    """sum(correct) / sum(total) and its 95 % interval; one entry an episode."""
    pairs = [(c, n) for c, n in zip(correct, total, strict=True) if n > 0]
    size, queries = len(pairs), math.fsum(n for _, n in pairs)
    ratio = min(1.0, max(0.0, math.fsum(c for c, _ in pairs) / queries))
    if size == 1:
        return ratio, math.nan, math.nan
    spread, t = ratio * (1 - ratio), t_quantile(size - 1)
    seen = math.fsum((c - ratio * n) ** 2 for c, n in pairs) / (size - 1) / (queries / size) ** 2
    off = min(effective([n - c for c, n in pairs]), effective([c for c, _ in pairs]))
    independent = size / ((off * (seen / spread if spread else 0.0) + 0.2) / (off + 1))
    centre = (ratio + t * t / (2 * independent)) / (1 + t * t / independent)
    half = t * math.sqrt(spread / independent + (t / (2 * independent)) ** 2) / (1 + t * t / independent)
    return ratio, max(0.0, min(centre - half, ratio)), min(1.0, max(centre + half, ratio))


def ratio_difference(first: list[float], second: list[float], total: list[float]) -> Interval:
    """(sum(first) - sum(second)) / sum(total) and its 95 % interval; one entry an episode, paired."""
    three = [(a, b, n) for a, b, n in zip(first, second, total, strict=True) if n > 0]
    gains, losses = [max(a - b, 0.0) for a, b, _ in three], [max(b - a, 0.0) for a, b, _ in three]
    n = [one[2] for one in three]
    gain, loss = ratio_interval(gains, n), ratio_interval(losses, n)
    difference = gain[0] - loss[0]
    if len(n) == 1:
        return difference, math.nan, math.nan
    rests = [[a - one[0] * b for a, b in zip(some, n, strict=True)] for some, one in ((gains, gain), (losses, loss))]
    size = math.sqrt(math.fsum(a * a for a in rests[0]) * math.fsum(b * b for b in rests[1]))
    r = max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(*rests, strict=True)) / size)) if size else 0.0

    def joined(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one + other * other - 2 * r * one * other))

    below, above = joined(gain[0] - gain[1], loss[2] - loss[0]), joined(gain[2] - gain[0], loss[0] - loss[1])
    return difference, max(-1.0, difference - below), min(1.0, difference + above)


def effective(weights: list[float]) -> float:
    squares = math.fsum(one * one for one in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def probability_beyond(difference: list[float | None], limit: float, episodes: int) -> float:
    mean, _, high = numbers(difference)
    half = high - mean
    if not half > 0 or mean >= limit:
        return 1.0
    return beyond((limit - mean) / half * t_quantile(episodes - 1), episodes - 1)


def holm(probabilities: list[float]) -> list[float]:
    """Holm's adjusted probabilities (1979)."""
    adjusted, largest, count = [1.0] * len(probabilities), 0.0, len(probabilities)
    for rank, place in enumerate(sorted(range(count), key=lambda place: probabilities[place])):
        largest = max(largest, min(1.0, (count - rank) * probabilities[place]))
        adjusted[place] = largest
    return adjusted


@functools.cache
def t_quantile(degrees: int) -> float:
    """The t with 95 % of Student's distribution between -t and t, by bisection."""
    low, high = 0.0, 13.0  # 12.7 for one degree of freedom
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if beyond(middle, degrees) > 0.05 else (low, middle)


def beyond(t: float, degrees: int) -> float:
    """Two-sided probability of Student's distribution outside (-t, t): the regularized incomplete beta function."""
    a, b, x = degrees / 2, 0.5, degrees / (degrees + t * t)
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * fraction(a, b, x) / a if x < (a + 1) / (a + b + 2) else 1 - front * fraction(b, a, 1 - x) / b


def fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (Lentz's method)."""
    tiny, c = 1e-300, 1.0
    d = 1 / (1 - (a + b) * x / (a + 1) or tiny)
    found = d
    for m in range(1, 10000):
        for top in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                    -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):  # fmt: skip
            d, c = 1 / (1 + top * d or tiny), 1 + top / c or tiny
            found *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return found


# Small things.


def sums(rows: list[dict[str, str]], columns: tuple[str, ...]) -> tuple[dict[Any, float], dict[Any, float]]:
    queries: dict[Any, float] = {}
    right: dict[Any, float] = {}
    for row in rows:
        key = tuple(row[one] for one in columns)
        queries[key] = queries.get(key, 0.0) + float(row["queries"])
        right[key] = right.get(key, 0.0) + float(row["right"])
    return queries, right


def same(what: str, recorded: dict[str, Any], found: dict[str, Any], tolerance: float) -> None:
    for name in sorted(recorded.keys() | found.keys()):
        if name not in recorded or name not in found or not figures_near(recorded[name], found[name], tolerance):
            raise Wrong(
                f"{what}: {name} does not follow from the predictions: {recorded.get(name)}, not {found.get(name)}"
            )


def figures_near(one: Any, other: Any, tolerance: float = EXACT) -> bool:
    return len(one) == len(other) and all(
        near(a, b, tolerance) for a, b in zip(numbers(one), numbers(other), strict=True)
    )


def near(one: float, other: float, tolerance: float) -> bool:
    return math.isclose(one, other, rel_tol=0, abs_tol=tolerance) or (math.isnan(one) and math.isnan(other))


def with_ends(figures: list[float | None]) -> list[float | None]:
    """Mean, low and high; no ends for a width of 0, which earlier records have for a single episode."""
    return [figures[0], None, None] if figures[0] == figures[1] == figures[2] else figures


def numbers(values: Any) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class parsing:
    """A KeyError, TypeError or ValueError in this block is a fault of the named file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, (LookupError, TypeError, ValueError, AttributeError)):
            raise Wrong(f"{self.name} lacks a field or has one of another kind: {error!r}") from error


# The list of checks, and the command line.


class Given(NamedTuple):
    """The reader's input in addition to the folder.

    model_dir  the served model's folder, to compare with
    allowed    names and public keys, as ssh-keygen reads them
    anchored   the hashes of the events, from git
    at         ISO 8601, when the key of the folder's signature must be valid; '' for now
    expected   the project, or project/version, that the folder must be about; '' for any
    """

    model_dir: Path | None = None
    allowed: Path | None = None
    anchored: Path | None = None
    at: str = ""
    expected: str = ""


def checks(folder: Folder, given: Given) -> Iterator[tuple[str, str, str]]:
    """Name, state and text of each check, in order."""
    every: dict[str, Callable[[], str]] = {
        **({"subject": lambda: subject(folder, given.expected)} if given.expected else {}),
        "files": lambda: files(folder),
        "signature": lambda: signature(folder, given.allowed, given.at),
        "envelopes": lambda: envelopes(folder),
        "events": lambda: events(folder),
        "persons": lambda: persons(folder, given.allowed),
        "anchor": lambda: anchor(folder, given.anchored),
        "record": lambda: record(folder),
        "stages": lambda: statements(folder),
        "data": lambda: data(folder),
        "accuracies": lambda: accuracies(folder),
        "comparison": lambda: comparisons(folder),
        "decision": lambda: decision(folder),
        "card": lambda: card(folder),
        "model": lambda: model(folder, given.model_dir),
        "limits": lambda: limits(folder),
    }
    for name, check in every.items():
        try:
            yield name, OK, check()
        except Wrong as wrong:
            yield name, FAILED, str(wrong)
        except Open as reason:
            yield name, OPEN, str(reason)
        except (LookupError, TypeError, ValueError, AttributeError, OSError, ArithmeticError, RecursionError) as error:
            yield name, FAILED, f"a file of this check lacks a field or has one of another kind: {error!r}"


def verify(folder: Path, given: Given) -> int:
    """Print a line a check; 0 if none failed, 1 if one did, 2 if the folder is no attestation."""
    found = Folder(folder)
    try:
        about = found.manifest
        print(printable(f"{folder}: version {about['version']} of {about['project']}"))
    except (Wrong, LookupError) as wrong:
        print(printable(f"{folder}: {wrong}; needs a complete folder that `kshot attest` wrote"))
        return 2
    states = []
    for name, state, text in checks(found, given):
        states.append(state)
        print(f"  {name:<11} {state:<12} {printable(text)}")
    failed, left = states.count(FAILED), states.count(OPEN)
    print(f"{failed} of {len(states)} checks failed" if failed else f"no check failed; {left} could not be completed")
    return 1 if failed else 0


def printable(text: str) -> str:
    """No control character of a file may reach the terminal."""
    return re.sub(r"[^\x20-\x7e\xa1-\U0010ffff]", "?", text)


def moment(text: str) -> str:
    """The text if it is a time. Raises ValueError."""
    datetime.fromisoformat(text)
    return text


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check a folder that `kshot attest` wrote.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="default: this file's")
    parser.add_argument("--model", type=Path, metavar="DIR", help="the served model's folder, to compare")
    parser.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="names and public keys, as ssh-keygen reads"
    )
    parser.add_argument("--anchor", type=Path, metavar="FILE", help="hashes of events: git show REF:events")
    parser.add_argument("--at", type=moment, metavar="TIME", help="when the folder's key must be valid: ISO 8601 (now)")
    parser.add_argument("--expect", default="", metavar="PROJECT[/VERSION]", help="what the folder must be about")
    options = parser.parse_args(arguments)
    given = Given(options.model, options.allowed_signers, options.anchor, options.at or "", options.expect)
    return verify(options.folder, given)


if __name__ == "__main__":
    sys.exit(main())
