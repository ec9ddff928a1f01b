"""A real registry on sqlite with undecided versions, made once and copied for each test."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient

from kshot.lifecycle.history import history_run
from kshot.lifecycle.registry import registration
from kshot.lifecycle.tracking import store

DATA = "0123456789abcdef0123456789abcdef"
REPOSITORY = Path(__file__).parents[2]


def write(root: Path, count: int = 4) -> Path:
    """A project's settings, and `count` versions, each with a run that has ended, an embedding and its answers."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, root)
    where = store.connect(root)
    client = store.client()
    history_run.begin(client, root, where)
    for number in range(1, count + 1):
        add(root, client, number)
    return root


def add(root: Path, client: MlflowClient, number: int, data: str = DATA) -> str:
    """Register one more version; its model classifies more and more of class a and less and less of class b."""
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id)
    scratch = root / "scratch"
    (scratch / "model/artifacts/embedding").mkdir(parents=True, exist_ok=True)
    (scratch / "model/artifacts/embedding/embedding.json").write_text(json.dumps({"number": number}))
    (scratch / "model/MLmodel").write_text("flavors: {}\n")
    client.log_artifacts(run.info.run_id, str(scratch))
    cells(number).to_parquet(scratch / "cells.parquet", index=False)
    client.log_artifact(run.info.run_id, str(scratch / "cells.parquet"), "evaluation")
    client.set_terminated(run.info.run_id)
    shutil.rmtree(scratch)
    tags = {
        "kshot.lineage": f"lineage{number}",
        "kshot.data_version": data,
        "kshot.git_commit": "c" * 40,
        "kshot.episodes_hash": "e.dir",
        registration.ACCURACY: json.dumps({"3w1s": [0.5 + number / 100, 0.4, 0.9]}),
    }
    made = client.create_model_version("kshot", f"{run.info.artifact_uri}/model", run.info.run_id, tags=tags)
    return str(made.version)


def cells(number: int) -> pd.DataFrame:
    """40 episodes of two classes with 5 queries each: class a gains with `number`, class b loses in every other."""
    rows: list[dict[str, Any]] = []
    for episode in range(40):
        for name, group in (("g/a", "g"), ("h/b", "h")):
            right = min(5, 1 + number) if name == "g/a" else 5 - (episode % 2) * min(number, 2)
            rows.append(
                {
                    "protocol": "3w1s",
                    "episode": episode,
                    "class": name,
                    "rotation": 0,
                    "group": group,
                    "queries": 5,
                    "right": right,
                }
            )
    return pd.DataFrame(rows)


def copy(template: Path, root: Path) -> Path:
    """The registry of `template` as that of a project of its own; artifacts stay where they are, new ones do not."""
    (root / "mlruns").mkdir(parents=True)
    shutil.copy(template / "mlruns/mlflow.db", root / "mlruns/mlflow.db")
    old, new = ((folder / store.ARTIFACTS).resolve().as_uri() for folder in (template, root))
    with closing(sqlite3.connect(root / "mlruns/mlflow.db")) as database:
        database.execute("update experiments set artifact_location = replace(artifact_location, ?, ?)", (old, new))
        database.commit()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(template / name, root)
    return root


def judgement(promote: bool, champion: str | None = None, why: str = "it is so") -> dict[str, Any]:
    """A decision in the shape of decision_record.to_json."""
    return {
        "evidence": {"champion": champion},
        "rules": {},
        "decision": {"promote": promote, "reasons": [why, "and so"]},
    }


def without_git(root: Path) -> None:
    """Let DVC work in the project although no git repository is around it."""
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n")


def fill(root: Path, runs: int, versions: int) -> None:
    """Straight into the tables of MLflow's database: as many runs and versions as years of retrainings leave.

    All of them were trained on DATA.
    """
    with closing(sqlite3.connect(root / "mlruns/mlflow.db")) as database:
        (experiment,) = database.execute("select experiment_id from experiments where name = 'kshot'").fetchone()
        (first,) = database.execute("select max(version) + 1 from model_versions").fetchone()
        names = [f"{number:032x}" for number in range(runs)]
        database.executemany(
            "insert into runs (run_uuid, name, status, start_time, lifecycle_stage, artifact_uri, experiment_id, "
            "user_id) values (?, 'retrain', 'FINISHED', 0, 'active', 'nowhere', ?, '')",
            [(name, experiment) for name in names],
        )
        for table, keys in (("params", 80), ("tags", 15)):
            database.executemany(
                f"insert into {table} (key, value, run_uuid) values (?, 'value', ?)",
                [(f"key{key}", name) for name in names for key in range(keys)],
            )
        database.executemany(
            "insert into tags (key, value, run_uuid) values ('kshot.data_version', ?, ?)",
            [(DATA, name) for name in names],
        )
        database.executemany(
            "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) values (?, 0.5, 0, 0, 0, ?)",
            [(f"metric{key}", name) for name in names for key in range(27)],
        )
        numbers = range(first, first + versions)
        columns = "name, version, creation_time, last_updated_time, current_stage, source, run_id, status, workspace"
        kept = "current_stage, source, ?, status, workspace from model_versions where version = 1"
        database.executemany(
            f"insert into model_versions ({columns}) select name, ?, creation_time, last_updated_time, {kept}",
            [(number, names[place]) for place, number in enumerate(numbers)],
        )
        database.executemany(
            "insert into model_version_tags (key, value, name, version, workspace) "
            "select key, value, name, ?, workspace from model_version_tags where version = 1",
            [(number,) for number in numbers],
        )
        database.commit()
