"""The content of a retraining's MLflow run: data set, params, metrics, tags and files."""

import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kshot.lifecycle.data.packed import read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.tracking.curves import is_number
from kshot.lifecycle.tracking.lineage import environment, ingested
from kshot.lifecycle.tracking.uncommitted import LEFT_OUT, PATCH, Uncommitted
from kshot.params.schema import AUTO

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from kshot.lifecycle.data.data_versions import DataVersion

LONGEST_PARAM, PARAMS_AT_ONCE = 6000, 100  # MLflow's limits
CLOCKS_S = 5.0  # a process may seem to start after its run: its start is relative to the boot time, which is rounded


def log_data(client: "MlflowClient", run_id: str, root: Path, version: "DataVersion | None") -> None:
    """Log the manifest as the run's data set, with the data version as digest, so that runs can be found by it.

    Logs nothing while data/packed contains another version, or none.
    """
    if version is None or ingested(root) != version.md5 or not (root / layout.PACKED / "manifest.parquet").exists():
        return
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    manifest = read_manifest(root)[["path", "class", "group", "split", "content"]]
    # MLflow has no source of the kind "DVC"; this one stores a few fields and claims nothing else.
    source = CodeDatasetSource({"dvc": layout.RAW_DVC.as_posix(), "md5": version.md5, "added_from": version.source})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow warns that it guesses a schema
        data = mlflow.data.from_pandas(manifest, source=source, name="images", digest=version.md5)  # type: ignore[attr-defined]
        entity = data._to_mlflow_entity()
    inputs = [DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", "training")])]
    try:
        client.log_inputs(run_id, inputs)
    except MlflowException as error:
        # MLflow inserts a data set that it did not find, and another machine did so in between (read in MLflow 3.17).
        text = str(error).lower()
        if "unique" not in text or "dataset" not in text:
            raise
        client.log_inputs(run_id, inputs)


def log_results(client: "MlflowClient", run_id: str, root: Path, tags: dict[str, str], params: dict[str, Any]) -> None:
    """Log tags, the params of params.yaml, and the figures of reports/metrics.json, in few requests."""
    from mlflow.entities import Metric, Param, RunTag

    figures = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    space = json.loads((root / layout.SPACE).read_text(encoding="utf-8"))
    tags = {**tags, **{f"kshot.{name}": str(value).lower() for name, value in figures["inference"].items()}}
    if "episodes" in figures:  # params.yaml says auto
        tags["kshot.protocols"] = ", ".join(figures["episodes"]["protocols"])
        tags["kshot.n_query"] = str(figures["episodes"]["n_query"])
    if params.get("train", {}).get("batch", {}).get("classes") == AUTO:
        tags["kshot.batch_classes"] = str(space["batch"]["classes"])
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    texts = [Param(name, value[:LONGEST_PARAM]) for name, value in flat(params).items()]
    for start in range(0, len(texts), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=texts[start : start + PARAMS_AT_ONCE])
    now, version = int(time.time() * 1000), tags["kshot.data_version"]
    client.log_batch(
        run_id,
        metrics=[
            Metric(name, value, now, 0, dataset_name="images", dataset_digest=version)
            for name, value in {**final_metrics(figures), **training_metrics(space)}.items()
        ],
    )


def log_files(client: "MlflowClient", run_id: str, root: Path, code: Uncommitted) -> None:
    """Log the files from which the model can be rebuilt and judged; `code`: the uncommitted changes."""
    for name in ("params.yaml", "dvc.yaml", LOCK_FILE, layout.RAW_DVC, layout.METRICS, layout.SPACE, layout.TRAIN_LOG):
        if (root / name).exists():
            client.log_artifact(run_id, str(root / name))
    client.log_artifact(run_id, str(root / layout.SPLIT / "classes.parquet"), "split")
    client.log_artifacts(run_id, str(root / layout.EVALUATION), "evaluation")
    client.log_dict(run_id, environment(), "environment.json")
    with tempfile.TemporaryDirectory() as scratch:
        left_out = "".join(f"{name}\n" for name in code.left_out).encode(errors="surrogateescape")
        for name, content in ((PATCH, code.patch), (LEFT_OUT, left_out)):
            if content:
                (Path(scratch) / name).write_bytes(content)
                client.log_artifact(run_id, str(Path(scratch) / name))


def close_abandoned(client: "MlflowClient", experiment_id: str, here: dict[str, str]) -> None:
    """Mark the runs of processes that were killed as KILLED. `here`: tags that identify this machine and project."""
    for run in running(client, experiment_id, here):
        if is_abandoned(run):
            close(client, run)


def running(client: "MlflowClient", experiment_id: str, tags: dict[str, str]) -> "list[Run]":
    """The runs with these tags whose status in MLflow is RUNNING."""
    wanted = "".join(f" and tags.`{name}` = '{value}'" for name, value in tags.items() if "'" not in value)
    return list(client.search_runs([experiment_id], f"attributes.status = 'RUNNING'{wanted}"))


def is_abandoned(run: "Run") -> bool:
    """Whether the process of a run on this machine is gone; False for a run that does not name its process."""
    process = run.data.tags.get("kshot.process", "")
    return process.isdigit() and not _is_alive(int(process), since_s=run.info.start_time / 1000)


def close(client: "MlflowClient", run: "Run") -> None:
    """Mark a run whose process is gone as KILLED."""
    process = run.data.tags["kshot.process"]
    client.set_tag(run.info.run_id, "kshot.failure", f"its process {process} ended without a word")
    client.set_terminated(run.info.run_id, "KILLED")


def final_metrics(figures: dict[str, Any]) -> dict[str, float]:
    """reports/metrics.json by MLflow's names: test/5w1s/accuracy, the ends of its interval, unknown/5w1s/auroc."""
    found = {}
    for protocol, score in figures["accuracy"].items():
        found[f"test/{protocol}/accuracy"] = score["mean"]
        found[f"test/{protocol}/accuracy_low"] = score["low"]
        found[f"test/{protocol}/accuracy_high"] = score["high"]
    for protocol, open_set in figures.get("unknown", {}).items():
        found |= {f"unknown/{protocol}/{name}": value for name, value in open_set.items()}
    for protocol, calibration in figures.get("calibration", {}).items():
        found |= {f"calibration/{protocol}/{name}": value for name, value in calibration.items()}
    for protocol, accuracies in figures.get("stream", {}).items():
        found |= {f"stream/{protocol}/instance_{place}": value for place, value in enumerate(accuracies, 1)}
    found |= {f"geometry/{name}": value for name, value in figures["geometry"].items()}
    return {name: float(value) for name, value in found.items() if is_number(value)}


def training_metrics(space: dict[str, Any]) -> dict[str, float]:
    """reports/space.json by MLflow's names: trained parameters, and the space before and after training."""
    found = {f"parameters/{name}": value for name, value in space["parameters"].items()}
    for when in ("before", "after"):
        found |= {f"geometry_{when}/{name}": value for name, value in space[when].items()}
    return {name: float(value) for name, value in found.items() if is_number(value)}


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested sections as "train.steps": "600"."""
    found: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def _is_alive(process: int, since_s: float) -> bool:
    """Whether the process that ran at that time (seconds since 1970) still runs; its number may have been reused."""
    try:
        found = psutil.Process(process)
        return found.create_time() < since_s + CLOCKS_S and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
