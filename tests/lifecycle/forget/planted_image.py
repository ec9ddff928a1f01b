"""A project with an image in two of three data versions: its remote, packed arrays, features, pages, models."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from kshot.data.images import decode, prepare
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.history import history_run
from kshot.lifecycle.pages.render import jpeg_address, png_address
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import gate_decision
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.stages import ingest
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from kshot.params.schema import load_params
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import NewImage
from kshot.serve.store.gallery_store import open_store
from kshot.serve.store.image_files import sha256_of
from tests import ready_dvc
from tests.lifecycle import raw_project
from tests.lifecycle.registered_versions import judgement

CACHE = Path(".dvc/cache/files/md5")
PLANTED = "a/0"
VERSIONS = ({"a": 2, "b": 2}, {"b": 2, "c": 2}, {"a": 3, "b": 2})  # the last one is in data/raw
WITH_IT, WITHOUT_IT = (0, 2), 1


@dataclass(frozen=True)
class Planted:
    """The project and its remote; `data`: md5 of each data version; `packed`: the object of each one's pixels."""

    root: Path
    remote: Path
    data: tuple[str, ...]
    packed: tuple[str, ...]

    @property
    def file(self) -> bytes:
        return raw_project.image(PLANTED)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.file).hexdigest()

    def receipts(self) -> list[Path]:
        return sorted((self.root / "reports").glob("erasure-*.json"))

    def traces(self) -> list[str]:
        """Every file that has the image: its bytes, its packed pixels, its features, or a page's copy of them."""
        shown = thumbnail(self.root)
        pixels = prepare(decode(self.file, 1), load_params(self.root / "params.yaml").ingest).tobytes()
        parts = {
            "file": self.file,
            "pixels": pixels,
            "features": feature(self.file).tobytes(),
            "page": png_address(shown).encode(),
            "example": base64.b64encode(shown),
        }
        return [
            f"{path.relative_to(folder)}: {name}"
            for folder in (self.root, self.remote)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            for content in [path.read_bytes()]
            for name, part in parts.items()
            if part in content
        ]


def make(folder: Path) -> Planted:
    """Version 1 was trained on the first data version, 2 (the champion) on the last, 3 on the one without the image."""
    root, remote = raw_project.make(folder / "project"), folder / "remote"
    dvc(root, "remote", "add", "-q", "-d", "store", str(remote))
    where = store.connect(root)
    history_run.begin(store.client(), root, where)
    params = load_params(root / "params.yaml")
    data, packed = [], []
    for number, classes in enumerate(VERSIONS):
        data.append(add_version.add(root, str(raw_project.write_tree(folder / str(number), classes))).md5)
        shutil.rmtree(root / layout.PACKED, ignore_errors=True)
        ingest.run(root, params)
        packed.append(_keep_outputs(root, data[-1], number in WITH_IT))
        register(root, number, data[-1], folder)
    (root / layout.REPORT.parent).mkdir(exist_ok=True)
    (root / layout.REPORT.parent / f"data-{data[2][:8]}.html").write_text(page(root, data[2]))
    _push_all(root, remote)
    for command in (["add", "."], ["commit", "-qm", "three"]):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True)
    return Planted(root, remote, tuple(data), tuple(packed))


def teach(root: Path) -> None:
    """A gallery of `kshot serve` that shows the image and another one."""
    store = open_store(root)
    galleries.create(store, "birds")
    shown = [raw_project.image(name) for name in (PLANTED, "b/0")]
    images = [NewImage("robin", one, sha256_of(one), 10, 12, "image/png") for one in shown]
    examples.teach(store, "birds", images)
    store.close()


def taught(root: Path) -> int:
    """How many examples the gallery has."""
    store = open_store(root)
    with store.database.reading() as connection:
        found = len(examples.page(connection, galleries.find(connection, "birds").id))
    store.close()
    return found


def dvc(root: Path, *arguments: str) -> None:
    command = [*ready_dvc.DVC, *arguments]
    ready_dvc.run(command, cwd=root, capture_output=True, text=True, check=False).check_returncode()


def thumbnail(root: Path) -> bytes:
    """The packed image as a PNG, as pages and input examples show it."""
    pixels = prepare(decode(raw_project.image(PLANTED), 1), load_params(root / "params.yaml").ingest)
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0]).save(buffer, format="PNG")
    return buffer.getvalue()


def feature(content: bytes) -> Any:
    """A vector that only this image has."""
    seed = int.from_bytes(hashlib.md5(content).digest()[:4], "big")
    return np.random.default_rng(seed).random(8).astype(np.float32)


def page(root: Path, md5: str) -> str:
    """A page of a data version that shows the image."""
    shown = thumbnail(root)
    return f"<p>data version {md5}</p><img src='{png_address(shown)}'><img src='{jpeg_address(shown)}'>99.36 %"


def keep(root: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into DVC's cache."""
    oid = hashlib.md5(content).hexdigest() + suffix
    path = root / CACHE / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(content)
    return oid


def keep_folder(root: Path, files: dict[str, bytes]) -> str:
    entries = [{"md5": keep(root, content), "relpath": name} for name, content in sorted(files.items())]
    return keep(root, json.dumps(entries, sort_keys=True).encode(), ".dir")


def _keep_outputs(root: Path, data: str, is_shown: bool) -> str:
    """What stages ingest, embed and validate wrote, in DVC's cache, and in its run cache how it was made."""
    files = raw_project.files_below(root / layout.PACKED)
    packed = keep_folder(root, files)
    images = sorted((root / layout.RAW / "images").rglob("*.png"))
    buffer = io.BytesIO()
    np.save(buffer, np.stack([feature(path.read_bytes()) for path in images]))
    features = keep_folder(root, {"features.npy": buffer.getvalue(), "embedded.json": b"{}"})
    shown = page(root, data) if is_shown else f"<p>{data}</p>"
    checks = keep_folder(root, {"validation.json": data.encode(), "index.html": shown.encode()})
    rows = hashlib.md5(files["manifest.parquet"]).hexdigest()
    _lock(root, "data/raw", f"{data}.dir", "data/packed", packed)
    _lock(root, "data/packed", packed, "data/embedded", features)
    _lock(root, "data/packed/manifest.parquet", rows, "reports/validation", checks)
    return next(name.removesuffix(".npy") for name in files if name.endswith(".npy"))


def _lock(root: Path, read: str, of: str, wrote: str, oid: str) -> None:
    entry = {"cmd": "python", "deps": [{"path": read, "md5": of}], "outs": [{"path": wrote, "md5": oid}]}
    path = root / ".dvc/cache/runs" / of[:2] / of / oid
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(entry))


def register(root: Path, number: int, data: str, scratch: Path) -> None:
    """A version with a run that keeps a report, and a logged model with an input example and a manifest."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = store.client()
    experiment = client.get_experiment_by_name(project_name.of(root))
    assert experiment is not None
    run = client.create_run(experiment.experiment_id, tags={"kshot.data_version": data})
    client.log_text(run.info.run_id, page(root, data) if number != WITHOUT_IT else f"<p>{data}</p>", "report.html")
    client.log_artifact(run.info.run_id, str(root / layout.RAW_DVC))
    client.set_terminated(run.info.run_id)
    model = client.create_logged_model(experiment.experiment_id, name="model", source_run_id=run.info.run_id)
    files = scratch / f"model{number}"
    (files / "artifacts/embedding").mkdir(parents=True)
    (files / "artifacts/embedding/embedding.json").write_text("{}")
    (files / "MLmodel").write_text("flavors: {}\n")
    example = base64.b64encode(thumbnail(root)).decode() if number != WITHOUT_IT else "none"
    for name in ("input_example.json", "serving_input_example.json"):
        (files / name).write_text(json.dumps({"image": example}))
    get_artifact_repository(model.artifact_location).log_artifacts(str(files))
    client.finalize_logged_model(model.model_id, "READY")
    work = scratch / f"seal{number}"
    work.mkdir()
    tags = {"kshot.lineage": f"lineage{number}", "kshot.data_version": data, "kshot.git_commit": "c" * 40}
    tags[model_manifest.TAG] = model_manifest.seal(client, str(model.model_id), run.info.run_id, tags, work)
    source = f"models:/{model.model_id}"
    client.create_model_version(project_name.of(root), source, run.info.run_id, tags=tags, model_id=model.model_id)
    champion = {0: None, 1: "1", 2: "1", 3: "3"}[number]
    gate_decision.record_decision(root, str(number + 1), judgement(number in WITH_IT, champion), "r")


def _push_all(root: Path, remote: Path) -> None:
    """Copy the whole cache to the remote, as `dvc push` of every version's outputs would."""
    shutil.copytree(root / CACHE, remote / "files/md5", dirs_exist_ok=True)
