"""The registered model: MLflow's pyfunc from code, safetensors inside, no pickle, loadable without kshot installed."""

import base64
import io
import logging
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import kshot
from kshot.lifecycle import store
from kshot.lifecycle.packed import read_images, read_manifest

EMBEDDING = "embedding"
CODE = Path(__file__).with_name("serving_model.py")
NEEDS = ("numpy", "pandas", "pillow", "pyyaml", "safetensors", "timm", "torch", "torchvision")


def log_model(root: Path, model: Path, run_id: str) -> str:
    """Log the embedding in the folder `model` as the model of run `run_id`; its address, for the registry."""
    store.connect(root)
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    signature = ModelSignature(
        inputs=Schema([ColSpec("binary", "image"), ColSpec("string", "label", required=False)]),
        outputs=Schema([ColSpec("string", "label"), ColSpec("double", "probability"), ColSpec("double", "distance")]),
    )
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_id=run_id, log_system_metrics=False):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(CODE),
            artifacts={EMBEDDING: str(model)},
            code_paths=[str(science(Path(scratch)))],
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in NEEDS],
            signature=signature,
            input_example=example(root),
        )
    return str(info.model_uri)


def science(folder: Path) -> Path:
    """A copy of the science alone: what the model needs to answer, and none of the services."""
    source, target = Path(kshot.__file__).parent, folder / "kshot"
    target.mkdir()
    for file in source.glob("*.py"):
        shutil.copy(file, target)
    shutil.copytree(source / "losses", target / "losses", ignore=shutil.ignore_patterns("__pycache__"))
    return target


def example(root: Path) -> pd.DataFrame:
    """Two classes with one support image each, and one query: packed images as PNG."""
    manifest, images = read_manifest(root), read_images(root)
    names = manifest["class"].drop_duplicates().head(2).tolist()
    rows = [int((manifest["class"] == name).to_numpy().argmax()) for name in names]
    last = int(np.flatnonzero(manifest["class"] == names[0])[-1])
    shown = [images[row] for row in (*rows, last)]
    return pd.DataFrame({"image": [png(pixels) for pixels in shown], "label": pd.Series([*names, None], dtype=object)})


def png(pixels: np.ndarray) -> bytes:
    """uint8 (S, S, C) as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def request(support: dict[str, list[Path]], queries: list[Path]) -> dict[str, object]:
    """The JSON body that a scoring server takes: files of each class as support, other files as queries."""
    data = [[_base64(file), label] for label, files in support.items() for file in files]
    data += [[_base64(file), None] for file in queries]
    return {"dataframe_split": {"columns": ["image", "label"], "data": data}}


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
