"""The MLflow runs of a sweep, written by its own process only: a parent, and a child for each trial."""

import hashlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.params_file.settings import PARAMS
from kshot.lifecycle.project import layout
from kshot.lifecycle.sweep import trial_result
from kshot.lifecycle.sweep.trial_result import RESULT, TrialResult
from kshot.lifecycle.sweep.trials import Trial
from kshot.lifecycle.tracking import run_content, store
from kshot.lifecycle.tracking.curves import Curves
from kshot.lifecycle.tracking.lineage import environment
from kshot.load_yaml import load_yaml
from kshot.params import project_name
from kshot.redaction import redacted
from kshot.statistics import mean_interval

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SWEEP, TRIAL, PARENT, FAILURE = "kshot.sweep", "kshot.trial", "mlflow.parentRunId", "kshot.failure"
AT_ONCE = 500  # metrics per request; MLflow accepts 1,000


class SweepRuns:
    """The parent run of these trials, found again if the same sweep was interrupted, and its children.

    Raises RegistryError, here and in each method, if the store cannot be used.
    """

    def __init__(self, home: Path, trials: Sequence[Trial], commit: str, name: str) -> None:
        self.home = home
        self.identity = hashlib.sha256("".join(sorted(one.identity for one in trials)).encode()).hexdigest()[:16]
        self.where = store.connect(home)
        with store.translated_errors(self.where):
            client = store.client()
            found = client.get_experiment_by_name(project_name.of(home))
            assert found is not None, "connecting makes it"
            self.experiment = str(found.experiment_id)
            here = {"kshot.host": socket.gethostname(), "kshot.root": str(home.resolve())}
            run_content.close_abandoned(client, self.experiment, here)
            own = {"kshot.process": str(os.getpid()), **here}
            before = self._search(client, f"tags.`{SWEEP}` = '{self.identity}'")
            if before:
                self.run_id = str(before[0].info.run_id)
                client.update_run(self.run_id, status="RUNNING")
                for key, value in own.items():
                    client.set_tag(self.run_id, key, value)
            else:
                tags = {SWEEP: self.identity, "kshot.git_commit": commit, **own}
                self.run_id = str(client.create_run(self.experiment, run_name=f"sweep-{name}", tags=tags).info.run_id)

    def record(self, trial: Trial, result: TrialResult) -> str:
        """The child run of a finished trial, created unless this sweep has it already."""
        with store.translated_errors(self.where):
            client = store.client()
            wanted = f"tags.`{TRIAL}` = '{trial.identity}' and tags.`{PARENT}` = '{self.run_id}'"
            for run in self._search(client, wanted):
                if run.info.status == "FINISHED":
                    return str(run.info.run_id)
            run_id = self._child(client, trial, result.tags)
            place = trial_result.folder(self.home, trial.identity)
            self._log(client, run_id, trial, result, place)
            client.set_terminated(run_id, "FINISHED")
        return run_id

    def record_failure(self, trial: Trial, trouble: str) -> None:
        """Create a failed child run with the reason."""
        with store.translated_errors(self.where):
            client = store.client()
            run_id = self._child(client, trial, {FAILURE: redacted(trouble)[: store.LONGEST_TAG]})
            client.set_terminated(run_id, "FAILED")

    def end(self, status: str, chosen: Trial | None = None, page: Path | None = None) -> None:
        """Close the parent as FINISHED, FAILED or KILLED, with the chosen trial and the page."""
        with store.translated_errors(self.where):
            client = store.client()
            if chosen is not None:
                client.set_tag(self.run_id, "kshot.chosen", chosen.text[: store.LONGEST_TAG])
            if page is not None:
                client.log_artifact(self.run_id, str(page))
            if status == "FINISHED" and FAILURE in client.get_run(self.run_id).data.tags:
                client.delete_tag(self.run_id, FAILURE)  # of an earlier, interrupted start of this sweep
            client.set_terminated(self.run_id, status)

    def _search(self, client: "MlflowClient", wanted: str) -> "list[Run]":
        return list(client.search_runs([self.experiment], wanted, order_by=["attributes.start_time"]))

    def _child(self, client: "MlflowClient", trial: Trial, tags: dict[str, str]) -> str:
        every = {**tags, PARENT: self.run_id, TRIAL: trial.identity, "kshot.settings": trial.text[: store.LONGEST_TAG]}
        return str(client.create_run(self.experiment, run_name=f"trial-{trial.number}", tags=every).info.run_id)

    def _log(self, client: "MlflowClient", run_id: str, trial: Trial, result: TrialResult, place: Path) -> None:
        from mlflow.entities import Metric, Param

        texts = [
            Param(name, value[: run_content.LONGEST_PARAM])
            for name, value in run_content.flat(load_yaml(trial.params)).items()
        ]
        for start in range(0, len(texts), run_content.PARAMS_AT_ONCE):
            client.log_batch(run_id, params=texts[start : start + run_content.PARAMS_AT_ONCE])
        points = Curves(place / layout.TRAIN_LOG.name).fresh()
        now = points[-1].timestamp if points else 0
        accuracy = mean_interval(result.accuracies)
        named = f"validation/{result.protocol}/accuracy"
        figures = {named: accuracy.mean, f"{named}_low": accuracy.low, f"{named}_high": accuracy.high}
        points += [Metric(name, value, now, 0) for name, value in figures.items() if value == value]
        points.append(Metric("train/seconds", result.seconds, now, 0))
        for start in range(0, len(points), AT_ONCE):
            client.log_batch(run_id, metrics=points[start : start + AT_ONCE])
        for name in (RESULT, PARAMS, "dvc.yaml", layout.LOCK_FILE, layout.RAW_DVC.name, layout.TRAIN_LOG.name):
            if (place / name).exists():
                client.log_artifact(run_id, str(place / name))
        client.log_dict(run_id, environment(), "environment.json")
