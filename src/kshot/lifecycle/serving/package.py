"""Packages the registered model: an MLflow pyfunc from code with safetensors, no pickle, loadable without kshot."""

import base64
import hashlib
import io
import json
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

import kshot
from kshot import plugins
from kshot.evaluation.inference import load_inference, save_inference
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import model_manifest, plugin_copy
from kshot.lifecycle.tracking import store
from kshot.nets.embedding import load_settings
from kshot.plugins import Plugin

EMBEDDING = layout.EMBEDDING
MODEL_CODE = Path(__file__).with_name("served_model.py")
NEEDS = ("numpy", "pandas", "pillow", "pyyaml", "safetensors", "scikit-learn", "timm", "torch", "torchvision")
SERVICES = ("lifecycle", "cli", "flows", "serve")
IMPORT = re.compile(r"^(\s*(?:from|import) )kshot\b", re.MULTILINE)


class Logged(NamedTuple):
    """A model in MLflow: its address for the registry, and the sha256 of its manifest."""

    address: str
    manifest: str


def log_model(root: Path, model: Path, run_id: str, tags: Mapping[str, str] | None = None) -> Logged:
    """Log the embedding in the folder `model` as the model of run `run_id`, with a manifest of all files it loads.

    `tags`: the tags that the version will have; the manifest seals them, too.
    """
    store.connect(root)
    plugins.use_project(root)
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    # The scoring server converts typed columns, and reports a bad value without its row: it would decode "binary"
    # itself, and turn a null in a "string" into the class 'None'. The model reads the values as they were sent.
    untyped = AnyType()  # type: ignore[no-untyped-call]
    signature = ModelSignature(
        inputs=Schema([ColSpec(untyped, "image"), ColSpec(untyped, "label", required=False)]),
        outputs=Schema(
            [
                ColSpec("string", "label"),
                ColSpec("double", "score"),
                ColSpec("double", "distance"),
                ColSpec("boolean", "unknown", required=False),
            ]
        ),
    )
    inference = load_inference(root / layout.EVALUATION)
    others = plugin_copy.needed(root, load_settings(model), inference.classifier)
    pinned = [f"{name}=={metadata.version(name)}" for name in NEEDS]
    with (
        tempfile.TemporaryDirectory() as scratch,
        importable(package := science(Path(scratch), others, plugin_copy.files(root, others))),
        mlflow.start_run(run_id=run_id, log_system_metrics=False),
    ):
        # MLflow stores a folder under its own name, whatever the key by which the code asks for it.
        shutil.copytree(model, Path(scratch) / EMBEDDING)
        save_inference(inference, Path(scratch) / EMBEDDING)
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package.with_name(MODEL_CODE.name)),
            artifacts={EMBEDDING: str(Path(scratch) / EMBEDDING)},
            code_paths=[str(package)],
            pip_requirements=[*pinned, *(one for one in plugin_copy.requirements(root, others) if one not in pinned)],
            signature=signature,
            input_example=example(root, model),
        )
        sealed = model_manifest.seal(store.client(), str(info.model_id), run_id, tags or {}, Path(scratch))
    return Logged(str(info.model_uri), sealed)


def science(folder: Path, others: Collection[Plugin] = (), copied: Mapping[str, Path] | None = None) -> Path:
    """Copy the prediction code, without the services, into `folder`: a package, and the model's file next to it.

    `others` and `copied` are the plug-ins that the model predicts with, and their files. The package is named after
    its content. So a version predicts with its own code, whatever kshot is installed, and two versions can be loaded in
    one process.
    """
    source = Path(kshot.__file__).parent
    files = {file.relative_to(source): file.read_text(encoding="utf-8") for file in sorted(source.rglob("*.py"))}
    own_files = {place: text for place, text in files.items() if place.parts[0] not in SERVICES}
    digest = hashlib.sha256("".join(f"{place.as_posix()}\n{text}" for place, text in own_files.items()).encode())
    for name, path in (copied or {}).items():
        digest.update(name.encode() + path.read_bytes())
    package = folder / f"kshot_{digest.hexdigest()[:12]}"
    for place, text in own_files.items():
        (package / place).parent.mkdir(parents=True, exist_ok=True)
        (package / place).write_text(IMPORT.sub(rf"\1{package.name}", text), encoding="utf-8")
    if others:
        plugin_copy.write(package, others, copied or {})
    code = IMPORT.sub(rf"\1{package.name}", MODEL_CODE.read_text(encoding="utf-8"))
    (folder / MODEL_CODE.name).write_text(code, encoding="utf-8")
    return package


@contextmanager
def importable(package: Path) -> Iterator[None]:
    """Make the package importable in the block; afterwards remove it and MLflow's additions from the path.

    Python writes no bytecode meanwhile: MLflow imports the model from its own store, before the manifest is there.
    """
    places, modules, writes_none = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(package.parent))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = places
        sys.dont_write_bytecode = writes_none
        for name in set(sys.modules) - modules:
            if name.split(".")[0] == package.name:
                del sys.modules[name]


def example(root: Path, model: Path) -> pd.DataFrame:
    """Two classes with one support image each and one query: packed images as PNG, cropped as stored, not inverted."""
    inverted = json.loads((model / "embedding.json").read_text(encoding="utf-8"))["ingest"]["invert"]
    manifest, images = read_manifest(root), read_images(root)
    names = manifest["class"].drop_duplicates().head(2).tolist()
    rows = [int((manifest["class"] == name).to_numpy().argmax()) for name in names]
    last = int(np.flatnonzero(manifest["class"] == names[0])[-1])
    shown = [255 - images[row] if inverted else images[row] for row in (*rows, last)]
    labels: list[object] = [*names, None]
    return pd.DataFrame({"image": [png(pixels) for pixels in shown], "label": labels})


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 (S, S, C) pixels as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def request(support: dict[str, list[Path]], queries: list[Path]) -> dict[str, object]:
    """The JSON body for a scoring server: files of each class as support, other files as queries."""
    data: list[list[str | None]] = [[_base64(file), label] for label, files in support.items() for file in files]
    data += [[_base64(file), None] for file in queries]
    return {"dataframe_split": {"columns": ["image", "label"], "data": data}}


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
