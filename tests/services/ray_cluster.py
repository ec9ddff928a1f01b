"""A Ray cluster of several nodes on this machine: each node has its own daemon, which a test can kill."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

OBJECTS = 80 * 2**20  # bytes; Ray's least is 75 MB


@contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of so many nodes while the block runs.

    The head has no processor for work, so that a test can kill any node that works; the others have one each.
    """
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot[ray]'")
    from kshot.parallel.ray_cluster import SWITCHES

    # Not the test's folder: Ray's sockets lie there, and their path may have 107 letters.
    folder = tempfile.mkdtemp(prefix="kshot-ray-", dir="/tmp")
    before = dict(os.environ)
    os.environ.update(SWITCHES, RAY_AUTH_MODE="disabled", RAY_TMPDIR=folder, OMP_NUM_THREADS="1")
    from ray.cluster_utils import Cluster

    made = Cluster()
    try:
        add_node(made, num_cpus=0, include_dashboard=False)
        for _ in range(nodes - 1):
            add_node(made)
        yield made
    finally:
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def add_node(made: Any, num_cpus: int = 1, **more: Any) -> None:
    """Add a node to the cluster. Ray gives it 30 s to start, which a loaded machine may exceed."""
    for last in (False, False, True):
        try:
            made.add_node(num_cpus=num_cpus, object_store_memory=OBJECTS, **more)
            return
        except Exception as error:
            if last or "timed out during startup" not in str(error):
                raise


def names(made: Any) -> dict[str, str]:
    """The environment of a command that uses the cluster."""
    return {"RAY_ADDRESS": made.address, "RAY_AUTH_MODE": "disabled"}
