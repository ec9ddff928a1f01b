"""One MLflow run a retraining: its curves while it trains, its record when it is done, its reason when it fails."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.lifecycle import dataset, layout, store
from kshot.lifecycle.lineage import LOCK_FILE, Lineage, environment, git_difference, git_state
from kshot.lifecycle.packed import read_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient

EVERY_S = 2.0  # between two looks at the training log
CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "images_per_s": "train/images_per_s",
    "val_accuracy": "val/accuracy",
    "val_low": "val/accuracy_low",
    "val_high": "val/accuracy_high",
}


class LiveRun:
    """The MLflow run of a retraining that goes on; it is created when there is something to record."""

    def __init__(self, root: Path, tags: dict[str, str]) -> None:
        self.root, self.tags = root, tags
        self.run_id: str | None = None
        self.trouble: str | None = None
        self._seen = 0  # lines of the training log that were recorded
        self._before = _identity(root / layout.TRAIN_LOG)
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._follower = threading.Thread(target=self._follow, name="curves to MLflow", daemon=True)
        self._follower.start()

    def open(self) -> str:
        """The run's id; the run is created the first time."""
        with self._guard:
            if self.run_id is None:
                self.run_id = _create(self.root, self.tags)
            return self.run_id

    def record(self, lineage: Lineage, params: dict[str, Any]) -> str:
        """Write everything that belongs to the finished stages into the run, and its id comes back.

        What the follower has not recorded of the training is recorded now, all of it where DVC restored the training.
        """
        self.stop()
        run_id = self.open()
        with store.told(store.uri(self.root)):
            client = _client()
            self._log_curves(client, run_id)
            _log_data(client, run_id, self.root, lineage)
            for name, value in lineage.tags().items():
                client.set_tag(run_id, name, value)
            for name, value in flat(params).items():
                client.log_param(run_id, name, value)
            _log_metrics(client, run_id, self.root)
            _log_files(client, run_id, self.root)
        return run_id

    def end(self, status: str = "FINISHED", reason: str | None = None) -> None:
        """Close the run as FINISHED or FAILED; nothing happens where none was created."""
        self.stop()
        if self.run_id is None:
            return
        client = _client()
        if reason is not None:
            client.set_tag(self.run_id, "kshot.failure", reason[:5000])
        client.set_terminated(self.run_id, status)

    def stop(self) -> None:
        """End the following of the training log."""
        self._stop.set()
        self._follower.join()

    def _follow(self) -> None:
        """Record new lines until told to stop. Trouble with MLflow must not end a training: it is kept and told."""
        while not self._stop.wait(EVERY_S):
            log = self.root / layout.TRAIN_LOG
            if _identity(log) == self._before or not read_log(log):
                continue
            try:
                self._log_curves(_client_of(self.root), self.open())
            except Exception as error:
                self.trouble = (
                    f"curves could not be sent to MLflow while training: {' '.join(str(error).split())[:300]}"
                )

    def _log_curves(self, client: "MlflowClient", run_id: str) -> None:
        from mlflow.entities import Metric

        lines = read_log(self.root / layout.TRAIN_LOG)
        for start in range(self._seen, len(lines), 100):
            part = lines[start : start + 100]
            metrics = [
                Metric(CURVES[key], float(value), int(time.time() * 1000), int(line["step"]))
                for line in part
                for key, value in line.items()
                if key in CURVES
            ]
            client.log_batch(run_id, metrics=metrics)
            self._seen = start + len(part)


@contextmanager
def live_run(root: Path, tags: dict[str, str] | None = None) -> Iterator[LiveRun]:
    """A retraining's run. Where the block raises, the run is FAILED with the reason and the data version.

    `tags` are set on the run when it is created.
    """
    run = LiveRun(root, tags or {})
    try:
        yield run
    except BaseException as error:
        # The first error is the one to tell: a store that cannot be reached must not hide it.
        try:
            run.open()
            run.end("FAILED", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        except Exception as second:
            error.add_note(f"and the failed run could not be recorded: {second}")
        raise
    else:
        run.end()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a training log; one that is still being written waits."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested sections as "train.steps": "600"."""
    found: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def _create(root: Path, tags: dict[str, str]) -> str:
    with store.told(store.uri(root)):
        client = _client_of(root)
        experiment = client.get_experiment_by_name(store.EXPERIMENT)
        assert experiment is not None
        version = dataset.current(root)
        commit, dirty = git_state(root)
        known = {
            "kshot.data_version": version.md5 if version else "",
            "kshot.git_commit": commit,
            "kshot.git_dirty": str(dirty).lower(),
            **tags,
        }
        name = f"retrain-{version.short if version else 'no-data'}"
        return str(client.create_run(experiment.experiment_id, run_name=name, tags=known).info.run_id)


def _client_of(root: Path) -> "MlflowClient":
    store.connect(root)
    return _client()


def _client() -> "MlflowClient":
    import mlflow

    return mlflow.MlflowClient()


def _log_data(client: "MlflowClient", run_id: str, root: Path, lineage: Lineage) -> None:
    """The manifest as the run's data set, its digest the data version, so that runs are found by it."""
    import mlflow
    from mlflow.entities import DatasetInput, InputTag

    manifest = read_manifest(root)
    version = dataset.current(root)
    name = version.source if version and version.source else "data"
    data = mlflow.data.from_pandas(manifest, source=str(layout.RAW_DVC), name=name, digest=lineage.data_version)  # type: ignore[attr-defined]
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, [DatasetInput(dataset=data._to_mlflow_entity(), tags=[context])])


def _log_metrics(client: "MlflowClient", run_id: str, root: Path) -> None:
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    for protocol, figures in metrics["accuracy"].items():
        client.log_metric(run_id, f"test/{protocol}/accuracy", figures["mean"])
        client.log_metric(run_id, f"test/{protocol}/accuracy_low", figures["low"])
        client.log_metric(run_id, f"test/{protocol}/accuracy_high", figures["high"])
    for name, value in metrics["geometry"].items():
        if value is not None:
            client.log_metric(run_id, f"geometry/{name}", value)


def _log_files(client: "MlflowClient", run_id: str, root: Path) -> None:
    for name in ("params.yaml", "dvc.yaml", LOCK_FILE, layout.RAW_DVC.as_posix(), layout.METRICS.as_posix()):
        if (root / name).exists():
            client.log_artifact(run_id, str(root / name))
    client.log_artifact(run_id, str(root / layout.SPLIT / "classes.parquet"), "split")
    client.log_artifact(run_id, str(root / layout.TRAIN_LOG))
    client.log_artifacts(run_id, str(root / layout.EVALUATION), "evaluation")
    client.log_dict(run_id, environment(), "environment.json")
    if difference := git_difference(root):
        client.log_text(run_id, difference, "uncommitted.diff")


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells one writing of a file from another."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
