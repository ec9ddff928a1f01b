"""A registered model without code, for tests of what happens around a model: a real one has 200 files of code."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.serving.package import Logged
from kshot.lifecycle.tracking import store


def small_model(root: Path, model: Path, run_id: str, tags: Mapping[str, str] | None = None) -> Logged:
    """Log the embedding and its manifest, in place of `package.log_model`; nothing can load it to predict."""
    client = store.client()
    made = client.create_logged_model(client.get_run(run_id).info.experiment_id, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        shutil.copytree(model, folder / "artifacts" / layout.EMBEDDING)
        (folder / "MLmodel").write_text(f"model_id: {made.model_id}\n")
        client.log_model_artifacts(made.model_id, str(folder))
        client.finalize_logged_model(made.model_id, "READY")
        sealed = model_manifest.seal(client, made.model_id, run_id, tags or {}, Path(name))
    return Logged(f"models:/{made.model_id}", sealed)
