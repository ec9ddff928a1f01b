"""The MLflow run of a retraining: curves while it trains, results when it is done, the reason when it fails."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import RegistryError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.tracking import store, uncommitted
from kshot.lifecycle.tracking.curves import Curves
from kshot.lifecycle.tracking.lineage import Code, Lineage, code_state
from kshot.params import project_name
from kshot.redaction import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

EVERY_S = 2.0  # between two reads of the training log
BATCH = 500  # metrics per request; MLflow accepts 1,000


class LiveRun:
    """The MLflow run of a retraining in progress; it is created when there is something to record.

    run_id          None until then
    code            the code that was checked out when it began
    trouble         why curves could not be sent during training, for the person; they are then recorded at the end
    trouble_at_end  why the run could not be closed, after everything was recorded
    """

    def __init__(self, root: Path, tags: dict[str, str]) -> None:
        self.root, self.tags = root, tags
        self.run_id: str | None = None
        self.trouble: str | None = None
        self.trouble_at_end: str | None = None
        # Read before the first stage, so that a file edited during training is not recorded as the one used.
        self.code: Code = code_state(root)
        self._uncommitted = uncommitted.difference(root) if self.code.commit else uncommitted.Uncommitted()
        self._curves = Curves(root / layout.TRAIN_LOG)
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._follower = threading.Thread(target=self._follow, name="curves to MLflow", daemon=True)
        self._follower.start()

    def open(self) -> str:
        """The run's id; the first call creates the run, with its data set before any metric."""
        with self._guard:
            if self.run_id is None:
                where = store.connect(self.root)
                with store.translated_errors(where):
                    self.run_id = self._create(store.client())
            return self.run_id

    def record(self, lineage: Lineage, params: dict[str, Any]) -> str:
        """Write all results of the finished stages into the run and return its id.

        Also records the part of the training log not yet recorded: all of it if DVC restored the training.
        Raises RegistryError.
        """
        from kshot.lifecycle.tracking import run_content

        self.stop()
        run_id = self.open()
        with store.translated_errors(store.connect(self.root)):
            client = store.client()
            self._send_curves(client, run_id)
            tags = {**lineage.tags(), **self.code.tags()}
            run_content.log_results(client, run_id, self.root, tags, params)
            run_content.log_files(client, run_id, self.root, self._uncommitted)
        return run_id

    def end(self, status: str = "FINISHED", reason: str | None = None) -> None:
        """Close the run as FINISHED, FAILED or KILLED; does nothing if none was created."""
        self.stop()
        if self.run_id is None:
            return
        with store.translated_errors(store.connect(self.root)):
            client = store.client()
            if reason is not None:
                client.set_tag(self.run_id, "kshot.failure", redacted(reason)[: store.LONGEST_TAG])
            client.set_terminated(self.run_id, status)

    def stop(self) -> None:
        """Stop following the training log."""
        self._stop.set()
        self._follower.join()

    def _follow(self) -> None:
        """Record new points until stopped. Trouble with MLflow must not end a training: it is stored and reported."""
        while not self._stop.wait(EVERY_S):
            try:
                if self._curves.is_training():
                    run_id = self.open()
                    with store.translated_errors(store.connect(self.root)):
                        self._send_curves(store.client(), run_id)
                    self.trouble = None
            except Exception as error:
                what = redacted(" ".join(str(error).split()))[:300]
                self.trouble = f"curves could not be sent to MLflow while training: {what}"

    def _send_curves(self, client: "MlflowClient", run_id: str) -> None:
        points = self._curves.fresh()
        for start in range(0, len(points), BATCH):
            part = points[start : start + BATCH]
            client.log_batch(run_id, metrics=part)
            self._curves.taken(part)

    def _create(self, client: "MlflowClient") -> str:
        from kshot.lifecycle.tracking import run_content

        experiment = client.get_experiment_by_name(project_name.of(self.root))
        assert experiment is not None, "connecting makes it"
        version = data_versions.current(self.root)
        here = {"kshot.host": socket.gethostname(), "kshot.root": str(self.root.resolve())}
        run_content.close_abandoned(client, experiment.experiment_id, here)
        tags = {
            "kshot.data_version": version.md5 if version else "",
            **self.code.tags(),
            **here,
            "kshot.process": str(os.getpid()),
            **self.tags,
        }
        name = f"retrain-{version.short if version else 'no-data'}"
        run_id = str(client.create_run(experiment.experiment_id, run_name=name, tags=tags).info.run_id)
        run_content.log_data(client, run_id, self.root, version)
        return run_id


@contextmanager
def live_run(root: Path, tags: dict[str, str] | None = None) -> Iterator[LiveRun]:
    """The run of a retraining. If the block raises, the run is FAILED with the reason and the data version.

    `tags` are set on the run when it is created. A failure before training also gets a run, so that it can be found;
    Ctrl-C gets one, KILLED, only if training had begun. Raises RegistryError at once if the store cannot be used,
    rather than after hours of training.
    """
    store.require_writable(store.connect(root))
    run = LiveRun(root, tags or {})
    try:
        yield run
    except BaseException as error:
        # The first error is the one to report: a store that cannot be reached must not hide it.
        try:
            _fail(run, error)
        except Exception as second:
            error.add_note(f"and the failed run could not be recorded: {second}")
        raise
    else:
        try:
            run.end()
        except RegistryError as error:  # the decision was made: the next run closes one that stays open
            run.trouble_at_end = f"MLflow's run could not be closed: {error}"


def _fail(run: LiveRun, error: BaseException) -> None:
    run.stop()
    if isinstance(error, KeyboardInterrupt):
        run.end("KILLED", "interrupted")
        return
    run.open()
    run.end("FAILED", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
