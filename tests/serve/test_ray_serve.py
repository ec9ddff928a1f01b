"""What `kshot serve --engine ray` ends when it ends, on a cluster that may serve something else too."""

from types import SimpleNamespace
from typing import Any

import pytest

from kshot.serve import ray_serve


class RayServe:
    """Ray Serve as far as `_end` asks it: its applications, and what was ended."""

    def __init__(self, *applications: str) -> None:
        self.applications = set(applications)
        self.ended: list[str] = []

    def status(self) -> Any:
        return SimpleNamespace(applications=dict.fromkeys(self.applications))

    def delete(self, name: str) -> None:
        self.ended.append(name)

    def shutdown(self) -> None:
        self.ended.append("Ray Serve")


@pytest.mark.parametrize(
    ("applications", "ended"),
    [(("shop",), ["Ray Serve"]), ((), ["Ray Serve"]), (("shop", "translator"), ["shop"]), (("translator",), ["shop"])],
)
def test_the_end_of_a_command_leaves_the_applications_of_others(
    applications: tuple[str, ...], ended: list[str]
) -> None:
    serve = RayServe(*applications)
    ray_serve._end(serve, "shop")  # type: ignore[arg-type]
    assert serve.ended == ended
