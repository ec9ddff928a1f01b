import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from kshot.errors import DataError, RegistryError
from kshot.lifecycle.project import layout
from kshot.lifecycle.tracking import live_run, store
from kshot.lifecycle.tracking.curves import Curves
from kshot.lifecycle.tracking.lineage import lineage
from kshot.params.reader import read_mapping
from tests import ready_process
from tests.lifecycle import finished_project
from tests.lifecycle.finished_project import DATA, DONE, METRICS, STEPS, VALIDATION, lines


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = finished_project.write(tmp_path_factory.mktemp("project"))
    store.connect(root)
    return root


@pytest.fixture(autouse=True)
def every_look_at_once(monkeypatch: pytest.MonkeyPatch, root: Path) -> Iterator[None]:
    monkeypatch.setattr(live_run, "EVERY_S", 0.05)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    (root / layout.TRAIN_LOG).write_text(lines(*STEPS, VALIDATION, DONE))


def runs(root: Path) -> list[Run]:
    """The runs of the project, the newest first."""
    store.connect(root)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def wait_for(fact: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def steps_of(run_id: str, metric: str) -> list[int]:
    return [point.step for point in MlflowClient().get_metric_history(run_id, metric)]


@pytest.fixture(scope="module")
def recorded(root: Path) -> Run:
    """The record of a training that DVC restored: its log stood there, finished, from the beginning."""
    with live_run.live_run(root, {"kshot.prefect_flow_run": "abc"}) as live:
        run_id = live.record(lineage(root), read_mapping(root / "params.yaml"))
    return MlflowClient().get_run(run_id)


def test_the_store_lies_below_mlruns_and_the_environment_is_left_alone(root: Path) -> None:
    assert store.connect(root) == f"sqlite:///{root}/mlruns/mlflow.db"
    assert "MLFLOW_TRACKING_URI" not in os.environ
    experiment = MlflowClient().get_experiment_by_name("kshot")
    assert experiment is not None
    assert experiment.artifact_location == (root / "mlruns/artifacts").as_uri()


def test_a_run_is_tagged_with_all_of_its_lineage(root: Path, recorded: Run) -> None:
    assert lineage(root).tags().items() <= recorded.data.tags.items()
    assert recorded.data.tags["kshot.prefect_flow_run"] == "abc"
    assert recorded.info.status == "FINISHED"


def test_the_data_set_is_found_by_its_version(root: Path, recorded: Run) -> None:
    inputs = recorded.inputs.dataset_inputs
    assert [one.dataset.digest for one in inputs] == [DATA]
    found = MlflowClient().search_runs([recorded.info.experiment_id], f"dataset.digest = '{DATA}'")
    assert recorded.info.run_id in [run.info.run_id for run in found]


def test_params_are_flat(recorded: Run) -> None:
    assert recorded.data.params["train.steps"] == "20"
    assert recorded.data.params["episodes.protocols.3w1s.n_way"] == "3"
    assert recorded.data.params["train.loss.margin"] == "null"


def test_metrics_are_the_accuracies_with_their_intervals_and_the_geometry(recorded: Run) -> None:
    scores = METRICS["accuracy"]["3w1s"]
    found = recorded.data.metrics
    assert found["test/3w1s/accuracy"] == scores["mean"]
    assert (found["test/3w1s/accuracy_low"], found["test/3w1s/accuracy_high"]) == (scores["low"], scores["high"])
    assert found["geometry/recall_at_1"] == 0.9 and "geometry/map_at_r" not in found


def test_a_restored_training_has_its_curves(recorded: Run) -> None:
    assert steps_of(recorded.info.run_id, "train/loss") == [10, 20]
    assert steps_of(recorded.info.run_id, "val/accuracy") == [20]


def test_what_a_model_is_rebuilt_from_is_kept(root: Path, recorded: Run) -> None:
    client, run_id = MlflowClient(), recorded.info.run_id
    names = {one.path for folder in ("", "split", "evaluation") for one in client.list_artifacts(run_id, folder)}
    assert {"params.yaml", "dvc.yaml", "dvc.lock", "raw.dvc", "environment.json", "metrics.json"} <= names
    assert {"split/classes.parquet", "evaluation/episodes.parquet"} <= names
    kept = Path(client.download_artifacts(run_id, "params.yaml"))
    assert kept.read_bytes() == (root / "params.yaml").read_bytes()


def test_nothing_is_recorded_of_a_retraining_that_had_nothing_to_do(root: Path, recorded: Run) -> None:
    before = len(runs(root))
    with live_run.live_run(root):
        time.sleep(0.2)
    assert len(runs(root)) == before


def test_a_restored_log_alone_opens_no_run(root: Path) -> None:
    log = root / layout.TRAIN_LOG
    with live_run.live_run(root) as live:
        log.unlink()
        log.write_text(lines(*STEPS, VALIDATION, DONE))
        time.sleep(0.3)
        assert live.run_id is None


def test_curves_arrive_while_it_trains_and_a_half_written_line_waits(root: Path) -> None:
    log = root / layout.TRAIN_LOG
    with live_run.live_run(root) as live:
        log.unlink()
        first, second = lines(STEPS[0]), lines(STEPS[1])
        log.write_text(first + second[:9])
        wait_for(lambda: live.run_id and steps_of(live.run_id, "train/loss") == [10])
        assert live.run_id is not None
        assert MlflowClient().get_run(live.run_id).info.status == "RUNNING"
        assert MlflowClient().get_run(live.run_id).inputs.dataset_inputs[0].dataset.digest == DATA
        with log.open("a") as file:
            file.write(second[9:])
        wait_for(lambda: live.run_id and steps_of(live.run_id, "train/loss") == [10, 20])
    assert MlflowClient().get_run(live.run_id).info.status == "FINISHED"


def test_a_training_that_begins_its_log_again_logs_no_step_twice(root: Path) -> None:
    log = root / layout.TRAIN_LOG
    third = {**STEPS[1], "step": 30}
    with live_run.live_run(root) as live:
        log.write_text(lines(*STEPS))  # written anew in place
        wait_for(lambda: live.run_id and steps_of(live.run_id, "train/loss") == [10, 20])
        log.unlink()
        log.write_text(lines(STEPS[0]))  # another file, shorter than what was read
        time.sleep(0.2)
        log.write_text(lines(*STEPS, third))
        wait_for(lambda: live.run_id and steps_of(live.run_id, "train/loss") == [10, 20, 30])
        assert live.trouble is None


def test_what_is_no_number_is_no_point(tmp_path: Path) -> None:
    log = tmp_path / "train.jsonl"
    curves = Curves(log)
    assert curves.fresh() == [] and not curves.is_training()
    log.write_text('{"step": 1, "loss": NaN, "learning_rate": null, "images_per_s": true}\n{"step": 2, "loss": 3}\n')
    assert curves.is_training()
    points = curves.fresh()
    assert [(point.key, point.value, point.step) for point in points] == [("train/loss", 3.0, 2)]
    curves.taken(points)
    assert curves.fresh() == []


def test_a_follower_in_trouble_ends_nothing_and_is_told(root: Path) -> None:
    log = root / layout.TRAIN_LOG
    with live_run.live_run(root) as live:
        log.write_text("this is no training log\n")
        wait_for(lambda: live.trouble)
        assert live.trouble is not None and "curves could not be sent to MLflow" in live.trouble
        log.write_text(lines(*STEPS, DONE))
        run_id = live.record(lineage(root), {})
    assert steps_of(run_id, "train/loss") == [10, 20]


def test_a_failure_before_training_is_found_with_its_reason_and_data_version(root: Path) -> None:
    with pytest.raises(DataError, match="one image"), live_run.live_run(root):
        raise DataError("class 'a' has one image")
    newest = runs(root)[0]
    assert newest.info.status == "FAILED"
    assert newest.data.tags["kshot.failure"] == "DataError: class 'a' has one image"
    assert newest.data.tags["kshot.data_version"] == DATA


def test_an_interruption_before_training_leaves_no_run_and_one_in_it_a_killed_one(root: Path) -> None:
    before = len(runs(root))
    with pytest.raises(KeyboardInterrupt), live_run.live_run(root):
        raise KeyboardInterrupt
    assert len(runs(root)) == before
    with pytest.raises(KeyboardInterrupt), live_run.live_run(root) as live:
        live.open()
        raise KeyboardInterrupt
    assert runs(root)[0].info.status == "KILLED"


def begin_and_end_without_a_word(root: Path) -> None:
    held = live_run.live_run(root)
    held.__enter__().open()
    os._exit(9)


def test_a_run_whose_process_was_killed_is_closed_by_the_next(root: Path) -> None:
    assert ready_process.ended(ready_process.start(begin_and_end_without_a_word, root)) == 9
    left = runs(root)[0]
    assert left.info.status == "RUNNING"
    with live_run.live_run(root) as live:
        live.open()
    closed = MlflowClient().get_run(left.info.run_id)
    assert closed.info.status == "KILLED" and "ended without a word" in closed.data.tags["kshot.failure"]


def test_a_damaged_database_is_one_line_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns/mlflow.db").write_bytes(b"no database at all" * 100)
    began = time.monotonic()
    with pytest.raises(RegistryError, match=r"is damaged: it is no sqlite database; bring") as caught:
        store.connect(tmp_path)
    assert "\n" not in str(caught.value) and str(store.DATABASE) in str(caught.value)
    assert time.monotonic() - began < 5


def test_the_first_error_is_told_when_the_store_fails_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one image") as caught, live_run.live_run(tmp_path):
        (tmp_path / "mlruns/mlflow.db").write_bytes(b"no database at all" * 100)
        raise DataError("class 'a' has one image")
    assert "could not be recorded" in caught.value.__notes__[0]


def test_a_store_that_cannot_be_used_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns/mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(RegistryError), live_run.live_run(tmp_path):
        pytest.fail("the retraining began")


@pytest.mark.parametrize(("answers", "tried"), [(False, ""), (True, r", tried for \d+ s")], ids=["refused", "silent"])
def test_a_server_that_does_not_answer_is_named_within_15_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool, tried: str
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()  # takes the connection and says nothing
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        began = time.monotonic()
        with pytest.raises(RegistryError, match=rf"{address} did not answer{tried}; start it") as caught:
            store.connect(tmp_path)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 15


def test_the_patience_with_a_silent_server_is_under_15_seconds() -> None:
    tries = 1 + int(store.SETTINGS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
    assert tries * int(store.SETTINGS["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 12


def test_two_at_once_make_one_database(tmp_path: Path) -> None:
    found: list[str] = []
    both = [threading.Thread(target=lambda: found.append(store.connect(tmp_path))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(found) == 2
    assert json.dumps(sorted(path.name for path in (tmp_path / "mlruns").iterdir())).count("mlflow") == 1


def test_a_data_set_that_another_machine_logs_at_the_same_moment_is_no_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, told = (
        MlflowClient.log_inputs,
        ['(UniqueViolation) duplicate key value violates unique constraint "dataset_pk"'],
    )

    def raced(self: MlflowClient, *arguments: Any) -> None:
        if told:
            raise MlflowException(told.pop())
        real(self, *arguments)

    monkeypatch.setattr(MlflowClient, "log_inputs", raced)
    with live_run.live_run(root) as live:
        run_id = live.open()
    assert len(store.client().get_run(run_id).inputs.dataset_inputs) == 1
