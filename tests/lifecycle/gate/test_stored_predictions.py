"""Predictions stored with a run in a real MLflow store are read back unchanged, separately for each champion."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.gate import stored_predictions
from kshot.lifecycle.gate.paired import Results
from kshot.lifecycle.tracking import store

EPISODES = pd.DataFrame({"protocol": "3w1s", "episode": [0, 1], "accuracy": [1.0, 1 / 3]})
CELLS = pd.DataFrame({"protocol": "3w1s", "group": ["", "c"], "right": [2, 3]})


def test_two_champions_that_differ_in_cells_alone_are_kept_beside_each_other(tmp_path: Path) -> None:
    store.connect(tmp_path)
    client = store.client()
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    run_id = client.create_run(experiment.experiment_id).info.run_id
    both = [Results(EPISODES, CELLS), Results(EPISODES, CELLS.assign(right=1))]
    kept = [stored_predictions.keep(client, run_id, answers) for answers in both]
    for answers, one in zip(both, kept, strict=True):
        found = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=one["folder"]))
        again = stored_predictions.read(found, one)
        assert again["episodes"].equals(answers.episodes) and again["cells"].equals(answers.cells)
    with pytest.raises(DataError, match=r"^champions/\w{16}/cells.parquet$"):
        stored_predictions.read(found, {**kept[1], "cells": kept[0]["cells"]})
