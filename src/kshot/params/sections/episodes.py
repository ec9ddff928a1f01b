"""The test and validation episodes, and their protocols."""

import dataclasses
from typing import Literal

from kshot.params.reader import need, resolved


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One kind of episode: n_way classes with k_shot support images each.

    within_group: all classes of an episode are from one group.
    by_drawer: the support is by one drawer and the queries are by another; if omitted, both are by many drawers.
    n_query: queries a class, if different from `episodes.n_query`.
    """

    n_way: int
    k_shot: int
    within_group: bool
    by_drawer: bool = False
    n_query: int | None = None

    def check(self, where: str) -> None:
        """Raise ParamsError for numbers that are too low; `where` is the dotted key of this protocol."""
        need(self.n_way >= 2, f"{where}.n_way is {self.n_way}; needs at least 2 classes to tell apart")
        need(self.k_shot >= 1, f"{where}.k_shot is {self.k_shot}; needs at least 1 support image a class")
        need(self.n_query is None or self.n_query >= 1, f"{where}.n_query is {self.n_query}; needs at least 1")


@dataclasses.dataclass(frozen=True)
class Episodes:
    """The test and validation episodes; `auto` is what the classes of a data version can fill.

    The stages replace `auto` (kshot.lifecycle.settings_fit.resolved) before they read `by_name` and `queries`.
    """

    seed: int
    n_episodes: int
    n_query: int | Literal["auto"]
    protocols: dict[str, Protocol] | Literal["auto"]

    def __post_init__(self) -> None:
        need(self.n_episodes >= 2, f"episodes.n_episodes is {self.n_episodes}; an interval needs at least 2")
        need(
            isinstance(self.n_query, str) or self.n_query >= 1,
            f"episodes.n_query is {self.n_query}; needs at least 1 query a class, or auto",
        )
        if isinstance(self.protocols, str):
            return
        need(bool(self.protocols), "episodes.protocols is empty; needs at least one, such as 5w1s, or auto")
        for name, protocol in self.protocols.items():
            protocol.check(f"episodes.protocols.{name}")
            need(
                name.replace("-", "").replace("_", "").isalnum() and name.isascii(),
                f"episodes.protocols has the name {name!r}; it becomes a file name: letters, digits, - and _ only",
            )

    @property
    def by_name(self) -> dict[str, Protocol]:
        """The protocols by name. Raises ParamsError for `auto`."""
        return resolved("episodes.protocols", self.protocols)

    def queries(self, protocol: Protocol) -> int:
        """The number of queries a class in `protocol`. Raises ParamsError for `auto`."""
        return self.common_queries if protocol.n_query is None else protocol.n_query

    @property
    def common_queries(self) -> int:
        """The number of queries a class of protocols without their own. Raises ParamsError for `auto`."""
        return resolved("episodes.n_query", self.n_query)
