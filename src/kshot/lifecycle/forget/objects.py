"""The place "DVC": image files and computed objects in the cache and in one remote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.lifecycle.forget.holding import Forgotten, Holding, Unreached
from kshot.lifecycle.forget.object_stores import ObjectStore


@dataclass(frozen=True)
class Objects:
    """One store of DVC. `oids`: object to what it is, of all that has to go, in the order of its deletion."""

    store: ObjectStore
    oids: dict[str, str]

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def folders(self) -> tuple[Path, ...]:
        return ()

    def find(self, wanted: Forgotten) -> list[Holding]:
        """Those of the objects that this store has."""
        return [
            Holding(self.name, what, oid, oid, self.store.size(oid))
            for oid, what in self.oids.items()
            if oid in self.store.objects
        ]

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Delete the objects."""
        for one in holdings:
            self.store.delete(one.at)


@dataclass(frozen=True)
class UnreachedPlace:
    """A place that did not answer; finding and deleting say so again."""

    name: str
    why: str
    folders: tuple[Path, ...] = ()

    def find(self, wanted: Forgotten) -> list[Holding]:
        raise Unreached(self.why)

    def delete(self, holdings: Sequence[Holding]) -> None:
        raise Unreached(self.why)
