"""The place "DVC": image files and computed objects in the cache and in one remote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.lifecycle.forget.archive_members import ARCHIVE, member_of
from kshot.lifecycle.forget.holding import Forgotten, Holding, Unreached
from kshot.lifecycle.forget.object_stores import FOLDER, ObjectStore
from kshot.lifecycle.source_files.archives import SUFFIXES


@dataclass(frozen=True)
class Objects:
    """One store of DVC.

    oids     object to what it is, of all that has to go, in the order of its deletion
    names    object to its path in a folder that lists it
    members  object to its member that is one of the images, '' for none, as far as a place has looked
    """

    store: ObjectStore
    oids: dict[str, str]
    names: dict[str, str]
    members: dict[str, str]

    @property
    def name(self) -> str:
        return self.store.name

    @property
    def folders(self) -> tuple[Path, ...]:
        return ()

    def find(self, wanted: Forgotten) -> list[Holding]:
        """The objects to delete that this store has, and archives that contain an image."""
        found = [(what, oid, oid) for oid, what in self.oids.items() if oid in self.store.objects]
        found += [
            (ARCHIVE, f"{self.store.path(oid)} ({member})", oid)
            for oid in self.store.objects
            if self._may_be_archive(oid) and (member := self._member(oid, wanted))
        ]
        return [Holding(self.name, what, name, oid, self.store.size(oid)) for what, name, oid in found]

    def _may_be_archive(self, oid: str) -> bool:
        """Whether the object is an archive by its name in a folder; a file that DVC tracks alone has no name here."""
        if oid in self.oids or oid.endswith(FOLDER):
            return False
        return oid not in self.names or self.names[oid].lower().endswith(SUFFIXES)

    def _member(self, oid: str, wanted: Forgotten) -> str:
        if oid not in self.members:
            with self.store.open(oid) as file:
                self.members[oid] = member_of(file, wanted)
        return self.members[oid]

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Delete the objects; an archive stays."""
        for one in holdings:
            if one.what == ARCHIVE:
                continue
            self.store.delete(one.at)


@dataclass(frozen=True)
class UnreachedPlace:
    """An unreachable place; finding and deleting report it again."""

    name: str
    why: str
    folders: tuple[Path, ...] = ()

    def find(self, wanted: Forgotten) -> list[Holding]:
        raise Unreached(self.why)

    def delete(self, holdings: Sequence[Holding]) -> None:
        raise Unreached(self.why)
