"""Starts a function in a process of its own that has imported DVC, MLflow and kshot's registry already.

A new interpreter needs seconds for these imports, a fork of one that has done them some milliseconds. Nothing of the
test's own process is in it: it is forked from a server that has only imported. A real process it is all the same: it
has its own connections, can be killed, and races others.
"""

import gc
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

IMPORTED = [
    "kshot.lifecycle.registry.promotion",
    "kshot.lifecycle.tracking.live_run",
    # MLflow imports these when a store is opened first.
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "sqlalchemy.dialects.sqlite",
    # DVC imports these when a command begins.
    "configobj",
    "dvc.cachemgr",
    "dvc.cli.parser",
    "dvc.data_cloud",
    "dvc.lock",
    "dvc.repo.artifacts",
    "dvc.repo.index",
    "dvc.repo.datasets",
    "dvc.repo.graph",
    "dvc.repo.open_repo",
    "dvc.repo.plots",
    "dvc.rwlock",
    "dvc_data.hashfile.db.local",
    "dvc_data.hashfile.status",
    "dvc_data.index.checkout",
    "dulwich.ignore",
    "fsspec.implementations.memory",
    "dulwich.index",
    "dulwich.worktree",
    "networkx",
    "platformdirs",
    "rich.status",
    "ruamel.yaml",
    "scmrepo.git",
]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(IMPORTED)


def start(
    function: Callable[..., object], *arguments: object, names: Mapping[str, str] | None = None
) -> ForkServerProcess:
    """Start `function` of a module. `names`: its whole environment, by default that of this process now."""
    process = CONTEXT.Process(target=_run, args=(dict(os.environ if names is None else names), function, arguments))
    process.start()
    return process


def ended(process: Any, patience_s: float = 300) -> int:
    """The exit code, negative for a signal."""
    process.join(patience_s)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the process did not end within {patience_s:.0f} s")
    return int(process.exitcode)


def _run(names: dict[str, str], function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    gc.freeze()  # nothing that the server imported is ever scanned
    os.environ.clear()  # the server has that of its own start
    os.environ.update(names)
    function(*arguments)
