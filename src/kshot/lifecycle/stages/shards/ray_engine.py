"""Runs tasks of a stage on the project's Ray cluster, whose nodes all see the project's folder."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kshot.lifecycle.project.private_state import private_state

Run = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]


@contextmanager
def tasks(root: Path, *, device: str = "cpu") -> Iterator[tuple[Run, str]]:
    """`kshot.parallel.ray_tasks.run_tasks` on the cluster in the block, and the kind of device that a task gets.

    device: the value of `train.device`; `auto` takes GPUs if the cluster has some.
    """
    from kshot.parallel.ray_cluster import connected
    from kshot.parallel.ray_launch import threads_here
    from kshot.parallel.ray_nodes import require_alike
    from kshot.parallel.ray_tasks import run_tasks

    state = private_state(root)
    with connected() as ray:
        require_alike(ray, state)
        on_gpu = device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
        run = functools.partial(run_tasks, ray, threads=threads_here(), on_gpu=on_gpu)
        yield run, "cuda" if on_gpu else "cpu"
