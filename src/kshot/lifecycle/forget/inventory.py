"""Finds everything that holds the images to forget, place by place, and the models that were trained on them."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.forget import object_stores, run_files, selection
from kshot.lifecycle.forget.archive_members import ARCHIVE
from kshot.lifecycle.forget.derived import holding_objects, read_locks
from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage, Holding, Place, Unreached
from kshot.lifecycle.forget.object_stores import FOLDER, Stores
from kshot.lifecycle.forget.objects import Objects, UnreachedPlace
from kshot.lifecycle.forget.project_files import DRIFT, UNFINISHED, ProjectFiles
from kshot.lifecycle.forget.run_files import RunFiles, TrainedOn
from kshot.lifecycle.forget.selection import ForgetRequest
from kshot.lifecycle.history.events import CHAMPION


@dataclass(frozen=True)
class Inventory:
    """The places with the images.

    wanted     the images
    holdings   everything that has to go
    unreached  place to why it could not be asked
    models     the registered versions that were trained on a data version with one of the images
    places     where to delete
    """

    wanted: Forgotten
    holdings: tuple[Holding, ...]
    unreached: dict[str, str]
    models: tuple[TrainedOn, ...]
    places: tuple[Place, ...]

    @property
    def is_held(self) -> bool:
        """Whether anything holds the images; caches that do not record their images count only with something else."""
        return any(one.what not in (DRIFT, UNFINISHED) for one in self.holdings)

    @property
    def archives(self) -> tuple[Holding, ...]:
        """Archives with an image in them, which kshot never deletes."""
        return tuple(one for one in self.holdings if one.what == ARCHIVE)


@contextlib.contextmanager
def of_request(root: Path, request: ForgetRequest, here: Path, others: Sequence[Place] = ()) -> Iterator[Inventory]:
    """The places with the images to forget. `others`: places outside the record, such as galleries."""
    with object_stores.opened(root) as stores:
        yield _look(root, selection.select(root, request, stores, here), stores, others)


@contextlib.contextmanager
def of_images(root: Path, images: tuple[ForgottenImage, ...], others: Sequence[Place] = ()) -> Iterator[Inventory]:
    """The places that still have these images, whose files may be gone."""
    with object_stores.opened(root) as stores:
        yield _look(root, selection.selected(images, stores), stores, others)


def require_no_archive(found: Inventory) -> None:
    """Raise DataError if an archive holds one of the images: it is a person's file, and may hold much else."""
    if found.archives:
        raise DataError(f"{archive_text(found)}; nothing was forgotten")


def archive_text(found: Inventory) -> str:
    """One line that asks a person to remove the archives that contain an image."""
    named = "; ".join(f"{one.place}: {one.name}" for one in found.archives)
    return (
        f"an archive holds it, and kshot deletes none: {named}. Delete it, or pack it again without the image (and "
        "delete the old object, if DVC has it), then run the same command again"
    )


def require_champion_agreed(root: Path, found: Inventory, agreed: bool) -> None:
    """Raise DataError if nothing of the champion's data would be left, unless a person agreed."""
    champion = next((one for one in found.models if CHAMPION in one.aliases), None)
    if champion is None or agreed:
        return
    with object_stores.opened(root) as stores:
        images = set(selection.raw_folders(stores).get(f"{champion.data_version}{FOLDER}", {}).values())
    if images and images <= found.wanted.md5s:
        raise DataError(
            f"that is all that champion {champion.version} was trained on; nothing was forgotten: retrain on other "
            "data first, or agree with --champions-data"
        )


def version_text(root: Path, md5: str) -> str:
    """A data version and its source, as text."""
    known = next((one for one in data_versions.versions(root) if one.md5 == md5), None)
    return f"{md5[:8]} ({known.source}, added {known.added[:10]})" if known else f"{md5[:8]} (not in the ledger)"


def _look(root: Path, wanted: Forgotten, stores: Stores, others: Sequence[Place]) -> Inventory:
    cache = Path(stores.known[0].must_exist)
    folders = {oid: files for store in stores.known for oid, files in store.folders.items()}
    oids = holding_objects(folders, wanted, stores.read, read_locks(root, cache))
    names = {oid: path for files in folders.values() for path, oid in files.items()}
    members: dict[str, str] = {}
    places: list[Place] = [Objects(store, oids, names, members) for store in stores.known]
    places += [UnreachedPlace(name, why) for name, why in stores.unreached.items()]
    places += [RunFiles(root), *others]
    apart = (cache, *(folder for place in places for folder in place.folders))
    places.insert(0, ProjectFiles(root, apart))
    holdings: list[Holding] = []
    unreached: dict[str, str] = {}
    for place in places:
        try:
            holdings += place.find(wanted)
        except Unreached as error:
            unreached[place.name] = str(error)
    return Inventory(wanted, tuple(holdings), unreached, tuple(run_files.trained_on(root, wanted)), tuple(places))
