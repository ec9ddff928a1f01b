"""Tasks on a cluster come back in order; an error of the function is that error, and a lost task one line."""

from types import SimpleNamespace
from typing import Any

import pytest

from kshot.errors import DataError, ParamsError, StageFailed
from kshot.parallel.ray_tasks import AHEAD, RESTARTS, run_tasks


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class Cluster:
    """The part of Ray that `run_tasks` uses, which runs a task when its result is asked for."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, **resources: float) -> None:
        self.resources, self.asked, self.most, self.options = resources, 0, 0, {}

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, **options: Any) -> Any:
        self.options = options

        def begin(function: Any) -> Any:
            def remote(*call: Any) -> Any:
                self.asked += 1
                self.most = max(self.most, self.asked)
                return lambda: function(*call)

            return SimpleNamespace(remote=remote)

        return begin

    def get(self, reference: Any) -> Any:
        self.asked -= 1
        try:
            return reference()
        except RayError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error


def run(cluster: Cluster, function: Any, count: int = 1, **options: Any) -> list[Any]:
    calls = ((number,) for number in range(count))
    return list(run_tasks(cluster, function, calls, threads=1, **options))  # type: ignore[arg-type]


def test_results_come_in_order_and_few_tasks_wait() -> None:
    cluster = Cluster(CPU=3.0)
    assert run(cluster, lambda number: number * 2, 50) == [2 * number for number in range(50)]
    assert cluster.most == AHEAD * 3 + 1
    assert cluster.options == {"num_cpus": 1, "num_gpus": 0, "max_retries": RESTARTS}


@pytest.mark.parametrize("error", [DataError("class a has 1 image"), OSError(28, "No space left on device")])
def test_an_error_of_the_function_is_raised_here(error: Exception) -> None:
    def fails(_: int) -> None:
        raise error

    with pytest.raises(type(error)) as found:
        run(Cluster(CPU=1.0), fails)
    assert found.value is error


@pytest.mark.parametrize(
    ("error", "message"), [(ValueError("odd"), "failed: ValueError"), (RayError(), "was lost 4 times")]
)
def test_other_ends_of_a_task_are_one_line(error: Exception, message: str) -> None:
    def fails(_: int) -> None:
        raise error

    with pytest.raises(StageFailed, match=message):
        run(Cluster(CPU=1.0), fails)


def test_a_cluster_without_what_a_task_needs_is_named() -> None:
    with pytest.raises(ParamsError, match="a task needs 1 GPU of the Ray cluster; it has 0: add a node"):
        run(Cluster(CPU=4.0), print, on_gpu=True)
    assert run(Cluster(CPU=4.0, GPU=1.0), abs, on_gpu=True) == [0]
