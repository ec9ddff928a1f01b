"""Links a Prefect run to its MLflow run and back, also if the retraining failed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import runtime
from prefect.artifacts import create_link_artifact
from prefect.utilities.urls import url_for

from kshot.lifecycle.tracking import live_run, store
from kshot.redaction import guard, redact_error, shareable

KEY = "mlflow-run"  # key of the artifact on Prefect's pages
PAGES = "http://127.0.0.1:5000"  # where `kshot ui` shows the project's own records


@contextmanager
def linked_run(root: Path) -> Iterator[live_run.LiveRun]:
    """The MLflow run of the current flow run, as tracking.live_run; a failed one is linked too."""
    guard()
    live: live_run.LiveRun | None = None
    try:
        with live_run.live_run(root, to_prefect()) as live:
            yield live
    except BaseException as error:
        redact_error(error)  # Prefect stores its text in the state of the run
        if live is not None and live.run_id is not None:
            try:
                link_mlflow(root, live.run_id)
            except Exception as second:  # the first error is the one to report
                error.add_note(f"and it could not be linked to its MLflow run: {second}")
        raise


def to_prefect() -> dict[str, str]:
    """Tags for the MLflow run: the flow run's id and address, and a link to it in the run's description."""
    run = str(runtime.flow_run.id)
    address = shareable(url_for("flow-run", run, url_type="ui") or "")
    tags = {"kshot.prefect_flow_run": run}
    if address:
        note = f"[Prefect's run {runtime.flow_run.name}]({address}): its stages, their logs and retries"
        tags |= {"kshot.prefect_url": address, "mlflow.note.content": note}
    return tags


def link_mlflow(root: Path, run_id: str) -> None:
    """Add a link to the MLflow run to the artifacts of the flow run."""
    create_link_artifact(
        mlflow_address(root, run_id), link_text=f"MLflow run {run_id[:8]}", key=KEY, description="its record in MLflow"
    )


def mlflow_address(root: Path, run_id: str) -> str:
    """The address of the run on MLflow's pages: at the configured server, or at `kshot ui`."""
    with store.translated_errors(store.connect(root)):
        experiment = store.client().get_run(run_id).info.experiment_id
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    pages = named.rstrip("/") if named.startswith("http") else PAGES
    return f"{shareable(pages)}/#/experiments/{experiment}/runs/{run_id}"
