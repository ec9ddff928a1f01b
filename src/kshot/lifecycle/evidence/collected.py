"""Reads everything that an attestation repeats from the record of one version, after an audit verified it."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kshot import manifest
from kshot.errors import DataError, RegistryError
from kshot.lifecycle.audit.decision import compared
from kshot.lifecycle.audit.links import results
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.data import cached_images, data_versions
from kshot.lifecycle.data.cached_images import CachedImage
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.history.events import GATE_ACTIONS, Event, signed_text, to_text
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken, NotRecorded
from kshot.lifecycle.serving import model_manifest

# Files of the run that are repeated. Not params.yaml and the uncommitted code: a person may have put a password there.
RUN_FILES = ("dvc.lock", "metrics.json", "space.json", "environment.json", "raw.dvc", "split/classes.parquet")
TABLES = ("episodes", "cells")


@dataclass(frozen=True)
class Collected:
    """The record of one version.

    events    the chain up to the last event about the version
    judged    the gate's last event about it, None if the gate was not asked
    decision  the evidence, rules and findings that `judged` names, {} for none
    served    the content of the served model's manifest
    images    the images of its data version
    known     the line of its data version in the ledger, None if there is none
    files     name in the attestation to content
    """

    subject: Subject
    events: tuple[Event, ...]
    judged: Event | None
    decision: dict[str, Any]
    served: dict[str, Any]
    images: list[CachedImage]
    known: DataVersion | None
    files: dict[str, bytes]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file."""
        return list(csv.DictReader(io.StringIO(self.files[name].decode("utf-8"), newline="")))

    def json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file."""
        found: dict[str, Any] = json.loads(self.files[name])
        return found


def collect(subject: Subject) -> Collected:
    """Read the record. Raises RegistryError for a version that nobody decided about, Broken for a file that is gone."""
    every = subject.record.events if subject.record else ()
    last = max((event.number for event in every if event.version == subject.version), default=0)
    if not last:
        raise RegistryError(
            f"nobody has decided about version {subject.version} yet, so there is no decision to attest: "
            "`kshot retrain` asks the gate, or `kshot promote` makes it champion"
        )
    chain = every[:last]
    judged = next(
        (one for one in reversed(chain) if one.version == subject.version and one.action in GATE_ACTIONS), None
    )
    served = _served(subject)
    files = {
        "served-model.json": served,
        "events.jsonl": "".join(f"{to_text(event)}\n" for event in chain).encode(),
        **_signed(chain),
        **_run(subject),
    }
    decision: dict[str, Any] = {}
    if judged is not None and judged.proof is not None:
        files["decision.json"] = subject.file(judged.proof.file).read_bytes()
        decision = json.loads(files["decision.json"])
        for one in decision["evidence"].get("comparisons", ()):
            files |= _opponent(subject, one["role"], one["version"], decision.get("answered_anew", {}))
    version = subject.tag("data_version")
    images = cached_images.images(subject.root, version)
    files |= _listings(subject)
    table = next(e["md5"] for e in json.loads(files[f"listings/{version}.json"]) if e["relpath"] == "manifest.csv")
    files["data/manifest.csv"] = _cached(subject, table)
    return Collected(
        subject=subject,
        events=chain,
        judged=judged,
        decision=decision,
        served=json.loads(served),
        images=images,
        known=next((one for one in data_versions.versions(subject.root) if one.md5 == version), None),
        files=files,
    )


def _signed(chain: Sequence[Event]) -> dict[str, bytes]:
    """The text that each person signed, and the signature, as ssh-keygen reads them."""
    found: dict[str, bytes] = {}
    for event in chain:
        if event.signature:
            name = f"signed/{event.number:04d}.json"
            found |= {name: signed_text(event).encode(), f"{name}.sig": event.signature.encode()}
    return found


def _served(subject: Subject) -> bytes:
    """The manifest that the model was registered with: after the erasure of its input example, the copy of it."""
    before = subject.model / model_manifest.AS_REGISTERED
    return (before if subject.erased_example else subject.model / manifest.FILE).read_bytes()


def _run(subject: Subject) -> dict[str, bytes]:
    """Files of the run, and its predictions as CSV."""
    found = {f"run/{name}": subject.file(name).read_bytes() for name in RUN_FILES if subject.has(name)}
    folder = results.predictions(subject)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[f"run/evaluation/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    for name in TABLES:
        found[f"predictions/{name}.csv"] = _as_csv(found[f"run/evaluation/{name}.parquet"])
    return found


def _opponent(subject: Subject, role: str, version: str, fresh: dict[str, dict[str, str]]) -> dict[str, bytes]:
    """The predictions of a version that this one was compared with; {} if they are gone."""
    found: dict[str, bytes] = {}
    if version in fresh:
        compared.fresh_tables(subject, fresh[version])
        folder = subject.file(fresh[version]["folder"])
        found = {f"{name}.parquet": (folder / f"{name}.parquet").read_bytes() for name in TABLES}
    else:
        with compared.opponent(subject, role, version) as other:
            if other is None:
                return {}
            folder = results.predictions(other)
            found = {f"{name}.parquet": (folder / f"{name}.parquet").read_bytes() for name in TABLES}
            try:
                other.sealed  # noqa: B018 -- raises if the manifest is not the one that its events name
                found["served-model.json"] = _served(other)
            except (Broken, NotRecorded):
                pass  # its model was pruned: its predictions are still compared
    tables = {f"{name}.csv": _as_csv(found[f"{name}.parquet"]) for name in TABLES}
    return {f"compared/{version}/{name}": content for name, content in {**found, **tables}.items()}


def _listings(subject: Subject) -> dict[str, bytes]:
    """DVC's listings of the folders that stages read and wrote, by md5; without those that cache and remote lost."""
    entries = [
        entry
        for stage in subject.lock.values()
        for kind in ("deps", "outs")
        for entry in stage.get(kind, [])
        if str(entry.get("md5", "")).endswith(".dir")
    ]
    found = {}
    for md5 in sorted({entry["md5"] for entry in entries}):
        try:
            content = _cached(subject, md5)
        except DataError:
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir"):
            found[f"listings/{md5.removesuffix('.dir')}.json"] = content
    return found


def _cached(subject: Subject, md5: str) -> bytes:
    return cached_images.files(subject.root, md5.removesuffix(".dir"), [md5])[0].read_bytes()


def _as_csv(parquet: bytes) -> bytes:
    """A table as CSV with every digit."""
    text: str = pd.read_parquet(io.BytesIO(parquet)).to_csv(index=False, lineterminator="\n")
    return text.encode()


def classes_by_split(found: Collected) -> dict[str, int]:
    """The number of classes in each split, without rotated copies; {} if the run does not say."""
    content = found.files.get(f"run/{layout.SPLIT.name}/classes.parquet")
    if content is None:
        return {}
    table = pd.read_parquet(io.BytesIO(content))
    counts = table.groupby("split")["class"].nunique()
    return {name: int(counts[name]) for name in ("train", "val", "test") if name in counts}
