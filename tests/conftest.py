"""Protects every test from environment variables that another test left behind, runs long files first, and keeps the
garbage collector away from what the imports of all test files create."""

import functools
import gc
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kshot import plugins
from tests.ready_dvc import start_dvc_ready

# The files that take longest, longest first: two processes that take file after file then end at about the same time.
LONG = (
    "lifecycle/reproduce/test_reproduction.py",
    "lifecycle/drift/test_verdict.py",
    "lifecycle/forget/test_forget.py",
    "lifecycle/registry/test_promotion.py",
    "lifecycle/audit/test_model.py",
    "lifecycle/retraining/test_planned_retraining.py",
    "lifecycle/audit/test_planted_faults.py",
    "training/test_loop.py",
    "flows/test_deployments.py",
    "parallel/test_equality.py",
    "serve/engine/test_follower.py",
    "methods/test_mann.py",
    "lifecycle/serving/test_package.py",
    "flows/test_promote.py",
    "lifecycle/stages/test_evaluate.py",
    "lifecycle/prune/test_prune.py",
    "benchmarks/test_gpu.py",
    "cli/test_ui.py",
    "lifecycle/stages/test_code_read.py",
    "lifecycle/pipeline/test_graph.py",
    "test_rings.py",
    "lifecycle/stages/shards/test_finished_shards.py",
    "flows/schedules/test_scheduler_process.py",
    "lifecycle/evidence/test_attestation.py",
    "flows/test_at_commit.py",
)
# Journeys and services, which `make walks` runs together: those that compute longest first, with some that wait.
LONG_WALKS = (
    "journeys/test_own_images.py",
    "journeys/test_new_project.py",  # makes what those further below copy
    "services/test_on_servers.py",
    "journeys/test_scheduled.py",
    "journeys/test_default_path.py",
    "journeys/test_own_photographs.py",
    "journeys/test_sweep.py",
    "journeys/test_plugins.py",
    "journeys/test_retrained.py",
    "services/test_ray_cluster.py",
    "services/test_kills.py",
    "journeys/test_evidence.py",
    "services/test_process_pool.py",
    "journeys/test_serve.py",
    "services/test_ray_serve.py",
    "journeys/test_notebooks.py",
)

gc.disable()  # while the test files are imported: `pytest_collection_finish` goes on


def pytest_collection_finish() -> None:
    """Never scan again what the imports of all test files created, over a million objects, and collect more rarely."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others in their order; the Makefile lets pytest-xdist keep it."""
    order = {Path(__file__).parent / name: place for place, name in enumerate((*LONG_WALKS, *LONG))}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Put the environment back: MLflow writes its store's address there whenever it is told one."""
    before = dict(os.environ)
    read_migrations_once()
    _ask_for_no_prompt()
    make_tables_once()
    start_dvc_ready()
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def read_migrations_once() -> None:
    """Let MLflow read its 67 migrations once a process, not for each new database (0.07 s, now 0.02).

    The newest revision is a constant of the installed MLflow; the function is private, as of MLflow 3.17.
    """
    utils: Any = sys.modules.get("mlflow.store.db.utils")
    read = getattr(utils, "_get_latest_schema_revision", None)
    if read is not None and not hasattr(read, "cache_info"):
        utils._get_latest_schema_revision = functools.cache(read)


def _ask_for_no_prompt() -> None:
    """Let MLflow not read the registered model before each tag, to see whether it is a prompt: 10 ms each time.

    kshot registers no prompts. The method is private, as of MLflow 3.17.
    """
    client: Any = getattr(sys.modules.get("mlflow.tracking.client"), "MlflowClient", None)
    if client is not None:
        client._raise_if_prompt = lambda self, name: None


def make_tables_once() -> None:
    """Let MLflow make the tables of a new sqlite database once a process, and copy them into each further one.

    Its 67 migrations take a second for each database. The function is private, as of MLflow 3.17.
    """
    utils: Any = sys.modules.get("mlflow.store.db.utils")
    make = getattr(utils, "_initialize_tables", None)
    if make is None or hasattr(make, "__wrapped__"):
        return
    template = sqlite3.connect(":memory:", check_same_thread=False)

    @functools.wraps(make)
    def copied(engine: Any) -> None:
        is_new = engine.dialect.name == "sqlite" and utils._is_empty_database(engine)
        if not is_new or not engine.url.database:
            make(engine)
            return
        has_tables = template.execute("select 1 from sqlite_master").fetchone()
        if not has_tables:
            make(engine)
        engine.dispose()  # it would keep what it knows of the file
        with closing(sqlite3.connect(engine.url.database)) as file:
            if has_tables:
                template.backup(file)
            else:
                file.backup(template)

    for name in ("mlflow.store.db.utils", "mlflow.store.model_registry.sqlalchemy_store"):
        if name in sys.modules:
            sys.modules[name]._initialize_tables = copied


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No project's code counts when a test begins; its own, and the modules of its plug-ins, are gone afterwards."""
    monkeypatch.setattr(plugins, "_project", plugins._Project())
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("shop", "extra", "kshot_extra"):
            del sys.modules[name]
