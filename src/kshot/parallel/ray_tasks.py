"""Runs one function as many tasks on the nodes of a Ray cluster, and yields their results in order.

A task stores its result where all nodes see it and returns a few values, so that a run that was ended finds what is
finished without Ray. A task whose node is lost runs again on another one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, TypeVar

from kshot.errors import KshotError, ParamsError, StageFailed

Result = TypeVar("Result")
RESTARTS = 3  # of a task, each after its node or process was lost
AHEAD = 2  # tasks for each one that the cluster can run at once, so that no node waits for this process
AGAIN = "run again, what is finished is found"


def run_tasks(
    ray: ModuleType,
    function: Callable[..., Result],
    calls: Iterable[tuple[Any, ...]],
    *,
    threads: int,
    on_gpu: bool = False,
) -> Iterator[Result]:
    """Yield `function(*call)` for each of `calls`, in their order, computed on the cluster that `ray` is connected to.

    `function` must be importable by name on every node, arguments and results picklable. Raises ParamsError for a
    cluster that is too small for one task, the function's own KshotError or OSError, and StageFailed for a task that
    failed otherwise or was lost too often.
    """
    each = {"CPU": threads, **({"GPU": 1} if on_gpu else {})}
    has = ray.cluster_resources()
    for name, number in each.items():
        if has.get(name, 0) < number:
            raise ParamsError(
                f"a task needs {number} {name} of the Ray cluster; it has {has.get(name, 0):g}: add a node"
            )
    most = AHEAD * int(min(has[name] // number for name, number in each.items()))
    task = ray.remote(num_cpus=threads, num_gpus=int(on_gpu), max_retries=RESTARTS)(function)
    begun: deque[Any] = deque()
    for call in calls:
        begun.append(task.remote(*call))
        if len(begun) > most:
            yield _result(ray, begun.popleft())
    while begun:
        yield _result(ray, begun.popleft())


def _result(ray: ModuleType, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, KshotError | OSError):
            raise error.cause from None
        raise StageFailed(f"a task on the Ray cluster failed: {error.cause!r}; {AGAIN}") from error
    except ray.exceptions.RayError as error:
        kind = type(error).__name__
        raise StageFailed(f"a task on the Ray cluster was lost {RESTARTS + 1} times ({kind}); {AGAIN}") from error
