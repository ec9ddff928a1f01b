"""Teaches images: each is decoded and embedded before it is stored, so that every stored image is usable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from kshot.serve.actions.recognising import check_count
from kshot.serve.engine.decoding import Prepared, SentImage, prepare_images
from kshot.serve.engine.follower import Snapshot
from kshot.serve.messages.gallery_messages import Example, TeachResponse
from kshot.serve.messages.names import check_name, normal
from kshot.serve.service import GalleryService
from kshot.serve.store import examples, galleries
from kshot.serve.store.embeddings import Points
from kshot.serve.store.examples import ExampleRow, NewImage, TaughtRows
from kshot.serve.store.image_files import sha256_of

LONGEST_NAME = 200  # characters of a file's name
LISTED = 20  # notes of one response


@dataclass(frozen=True)
class Lesson:
    """One image to teach. `name` is the file's, as the client sent it."""

    class_name: str
    image: SentImage
    name: str = ""
    request: str | None = None


def teach(service: GalleryService, gallery: str, lessons: Sequence[Lesson]) -> TeachResponse:
    """The response to POST examples: all images or none. Raises Refused naming the first unusable one."""
    check_count(service, len(lessons))
    gallery, snapshot = normal(gallery), service.snapshot
    names = [check_name("class", one.class_name, service.settings.name_characters) for one in lessons]
    with service.store.database.reading() as connection:
        galleries.find(connection, gallery)
    images = [one.image for one in lessons]
    prepared = prepare_images(images, snapshot.version.model.ingest, service.settings.image_pixels, service.pool)
    fresh = [new_image(one, name, found) for one, name, found in zip(lessons, names, prepared, strict=True)]
    points = embedded(service, snapshot, [image.sha256 for image in fresh], prepared)
    rows = examples.teach(service.store, gallery, fresh, points)
    snapshot.states.get(gallery)  # so that the next request need not wait for it
    return TeachResponse(
        revision=rows.revision,
        model_version=snapshot.version.version,
        examples=[message_of(row) for row in rows.added],
        already=[message_of(row) for row in rows.already],
        notes=notes_of(rows, fresh, [one.frames for one in prepared]),
    )


def new_image(lesson: Lesson, class_name: str, prepared: Prepared) -> NewImage:
    """A lesson as the store takes it."""
    content, name = lesson.image.content, file_name(lesson.name)
    size = (prepared.width, prepared.height)
    return NewImage(class_name, content, sha256_of(content), *size, prepared.media_type, name, lesson.request)


def embedded(
    service: GalleryService, snapshot: Snapshot, images: Sequence[str], prepared: Sequence[Prepared]
) -> Points | None:
    """The embeddings of prepared images by their sha256; None for a model without a fixed embedding."""
    if not snapshot.version.has_fixed_embedding:
        return None
    pixels = np.stack([one.pixels for one in prepared])
    points = service.queue.embed(snapshot.version.model.method, pixels)
    return Points(snapshot.version.key, dict(zip(images, points, strict=True)))


def notes_of(rows: TaughtRows, images: Sequence[NewImage], frames: Sequence[bool]) -> list[str]:
    """Lines for a person: images that are in another class too, and animations; `frames`: whether each is one."""
    notes = []
    for image in images:
        if others := [name for name in rows.several.get(image.sha256, ()) if name != image.class_name]:
            named = " and ".join(map(repr, others))
            notes.append(f"{image.name or 'an image'}, taught as {image.class_name!r}, is in class {named} too")
    animated = [image.name or "an image" for image, several in zip(images, frames, strict=True) if several]
    if animated:
        notes.append(f"{animated[0]} has several frames or pages, of which the first is used ({len(animated)} such)")
    return notes if len(notes) <= LISTED else [*notes[:LISTED], f"and {len(notes) - LISTED} more such notes"]


def message_of(row: ExampleRow) -> Example:
    """An example as the interface describes it."""
    return Example(
        id=row.id,
        class_name=row.class_name,
        sha256=row.sha256,
        name=row.name,
        bytes=row.bytes,
        width=row.width,
        height=row.height,
        taught=datetime.fromisoformat(row.taught),
        request=row.request,
    )


def file_name(name: str) -> str:
    """The last part of a file's name, without signs that cannot be printed."""
    last = normal(name.encode("utf-8", "replace").decode()).replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable()).strip()[:LONGEST_NAME]
