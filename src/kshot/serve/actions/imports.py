"""Imports a zip of class folders, or one that an export wrote: all of its images in one change."""

from collections import defaultdict
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.source_images import Source, read_source
from kshot.serve.actions.teaching import embedded, file_name, notes_of
from kshot.serve.engine.decoding import SentImage, prepare_image
from kshot.serve.engine.follower import Snapshot
from kshot.serve.messages.gallery_messages import ImportResponse, LeftOut
from kshot.serve.messages.names import check_name, normal
from kshot.serve.messages.refusals import Refused
from kshot.serve.service import GalleryService
from kshot.serve.store import examples, galleries
from kshot.serve.store.embeddings import Point, Points
from kshot.serve.store.examples import NewImage
from kshot.serve.store.image_files import sha256_of

AT_ONCE = 64  # images that are decoded and embedded together
NAMED = 5  # files that a response names for a reason


def import_zip(
    service: GalleryService, gallery: str, archive: Path, folder: Path, whole_names: bool = False
) -> ImportResponse:
    """The response to POST import. `archive` is unpacked below `folder`, which the caller deletes.

    whole_names: folders around all others are a part of the class names, as of a folder that `kshot data add` reads.

    A file that cannot be used is left out and named by its reason. Raises Refused for an archive that is damaged, is
    not safe to unpack or has no image.
    """
    gallery, snapshot = normal(gallery), service.snapshot
    with service.store.database.reading() as connection:
        galleries.find(connection, gallery)
    source = _read(archive, folder / "unpacked", whole_names)
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    for one in source.left_out:
        left_out[one.reason].append(one.path.as_posix())
    images, frames, points = _embed(service, snapshot, source, folder / "unpacked", left_out)
    rows = examples.teach(service.store, gallery, images, points)
    snapshot.states.get(gallery)
    return ImportResponse(
        revision=rows.revision,
        model_version=snapshot.version.version,
        taken=len(rows.added),
        already=len(rows.already),
        left_out=[LeftOut(reason=reason, count=len(files), files=files[:NAMED]) for reason, files in left_out.items()],
        notes=[*source.notes, *notes_of(rows, images, frames)],
    )


def _read(archive: Path, folder: Path, whole_names: bool) -> Source:
    try:
        return read_source(archive, folder, Reading(whole_names=whole_names))
    except DataError as error:
        text = str(error).replace(str(archive), "the archive").replace(f"{folder}/", "")
        raise Refused(422, "bad_archive", text) from None


def _embed(
    service: GalleryService, snapshot: Snapshot, source: Source, folder: Path, left_out: defaultdict[str, list[str]]
) -> tuple[list[NewImage], list[bool], Points]:
    """Each image that can be used, as the store takes it, and their embeddings; the others are added to `left_out`."""
    images: list[NewImage] = []
    frames: list[bool] = []
    points: dict[str, Point] = {}
    for start in range(0, len(source.images), AT_ONCE):
        fresh, prepared = [], []
        for one in source.images[start : start + AT_ONCE]:
            try:
                name = check_name("class", one.label, service.settings.name_characters)
                content = one.file.read_bytes()
                found = prepare_image(
                    SentImage(content, "it"), snapshot.version.model.ingest, service.settings.image_pixels
                )
            except Refused as refused:
                left_out[str(refused)].append(one.file.relative_to(folder).as_posix())
                continue
            size = (found.width, found.height)
            digest, file = sha256_of(content), file_name(one.file.name)
            fresh.append(NewImage(name, one.file, digest, *size, found.media_type, file))
            prepared.append(found)
        if fresh:
            made = embedded(service, snapshot, [image.sha256 for image in fresh], prepared)
            points |= made.of if made is not None else {}
            images += fresh
            frames += [one.frames for one in prepared]
    return images, frames, Points(snapshot.version.key, points)
