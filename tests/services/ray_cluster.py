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
    """A `ray.cluster_utils.Cluster` of so many nodes with one processor each, while the block runs."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot[ray]'")
    from kshot.parallel.ray_cluster import SWITCHES

    # Not the test's folder: Ray's sockets lie there, and their path may have 107 letters.
    folder = tempfile.mkdtemp(prefix="kshot-ray-", dir="/tmp")
    before = dict(os.environ)
    os.environ.update(SWITCHES, RAY_AUTH_MODE="disabled", RAY_TMPDIR=folder, OMP_NUM_THREADS="1")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": OBJECTS}
    made = None
    try:
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        for _ in range(nodes - 1):
            made.add_node(**node)
        yield made
    finally:
        if made is not None:
            made.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def names(made: Any) -> dict[str, str]:
    """The environment of a command that uses the cluster."""
    return {"RAY_ADDRESS": made.address, "RAY_AUTH_MODE": "disabled"}
