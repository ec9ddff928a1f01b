"""Galleries and their classes: make, list, rename and delete them."""

from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from kshot.serve.actions import deleting
from kshot.serve.actions.unknown_groups import unknown_groups
from kshot.serve.engine.suspects import leave_one_out
from kshot.serve.messages.feedback_messages import Suspect, Suspects, UnknownGroups
from kshot.serve.messages.gallery_messages import (
    ChangeResponse,
    ClassChange,
    ClassCount,
    Galleries,
    Gallery,
    GalleryChange,
    NewGallery,
)
from kshot.serve.messages.names import check_gallery_name, check_name, normal
from kshot.serve.rest.access import needs
from kshot.serve.rest.routes.service_router import service_of
from kshot.serve.service import GalleryService
from kshot.serve.store import classes, galleries
from kshot.serve.store.galleries import GalleryRow, NewThreshold

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])
ASK, TEACH, ADMIN = ([Depends(needs(scope))] for scope in ("ask", "teach", "admin"))


@router.get("", dependencies=ASK)
def list_galleries(request: Request) -> Galleries:
    """Every gallery with its classes, by name."""
    service = service_of(request)
    with service.store.database.reading() as connection:
        found = [(row, galleries.class_counts(connection, row.id)) for row in galleries.listed(connection)]
    return Galleries(galleries=[_message(service, row, counts) for row, counts in found])


@router.post("", status_code=201, dependencies=ADMIN)
def create_gallery(request: Request, new: NewGallery) -> Gallery:
    """Make an empty gallery. 409 if there is one with this name."""
    service = service_of(request)
    name = check_gallery_name(new.name, service.settings.name_characters)
    return _message(service, galleries.create(service.store, name), [])


@router.get("/{gallery}", dependencies=ASK)
def get_gallery(request: Request, gallery: str) -> Gallery:
    """One gallery with its classes."""
    return _found(service_of(request), normal(gallery))


@router.patch("/{gallery}", dependencies=ADMIN)
def change_gallery(request: Request, gallery: str, change: GalleryChange) -> Gallery:
    """Rename a gallery, or set the distance beyond which an image is unknown in it (null: the model's own)."""
    service, name = service_of(request), None
    if change.name is not None:
        name = check_gallery_name(change.name, service.settings.name_characters)
    given = "unknown_threshold" in change.model_fields_set
    threshold = NewThreshold(change.unknown_threshold) if given else None
    row = galleries.change(service.store, normal(gallery), new_name=name, threshold=threshold)
    return _found(service, row.name)


@router.delete("/{gallery}", status_code=204, dependencies=ADMIN)
def delete_gallery(request: Request, gallery: str) -> Response:
    """Delete a gallery with all its examples; images that no other gallery has are deleted, too."""
    deleting.delete_gallery(service_of(request), normal(gallery))
    return Response(status_code=204)


@router.get("/{gallery}/suspects", dependencies=TEACH)
def list_suspects(request: Request, gallery: str) -> Suspects:
    """Taught examples that their own gallery without them takes for another class, the surest first."""
    snapshot = service_of(request).snapshot
    state = snapshot.states.get(normal(gallery))
    found = leave_one_out(snapshot.version, state)
    return Suspects(
        model_version=snapshot.version.version,
        revision=state.gallery.revision,
        suspects=[
            Suspect(example=one.id, class_name=one.class_name, taken_for=one.taken_for, probability=one.probability)
            for one in found.suspects
        ],
        tested=found.tested,
    )


@router.get("/{gallery}/unknown", dependencies=TEACH)
def list_unknown_groups(request: Request, gallery: str) -> UnknownGroups:
    """Logged unknown images without a label, in groups that look alike, the largest first."""
    return unknown_groups(service_of(request), gallery)


@router.patch("/{gallery}/classes/{class_name:path}", dependencies=TEACH)
def rename_class(request: Request, gallery: str, class_name: str, change: ClassChange) -> ChangeResponse:
    """Rename a class. 409 if there is one with the new name, unless `merge` is true: then the two become one."""
    service = service_of(request)
    name = check_name("class", change.name, service.settings.name_characters)
    revision = classes.rename(service.store, normal(gallery), normal(class_name), name, merge=change.merge)
    return changed(service, revision)


@router.delete("/{gallery}/classes/{class_name:path}", dependencies=TEACH)
def delete_class(request: Request, gallery: str, class_name: str) -> ChangeResponse:
    """Delete a class with all its examples."""
    service = service_of(request)
    return changed(service, deleting.delete_class(service, normal(gallery), normal(class_name)))


def changed(service: GalleryService, revision: int) -> ChangeResponse:
    return ChangeResponse(model_version=service.snapshot.version.version, revision=revision)


def _found(service: GalleryService, name: str) -> Gallery:
    with service.store.database.reading() as connection:
        row = galleries.find(connection, name)
        counts = galleries.class_counts(connection, row.id)
    return _message(service, row, counts)


def _message(service: GalleryService, row: GalleryRow, counts: list[tuple[str, int]]) -> Gallery:
    return Gallery(
        name=row.name,
        revision=row.revision,
        model_version=service.snapshot.version.version,
        classes=[ClassCount(name=name, examples=count) for name, count in counts],
        unknown_threshold=row.unknown_threshold,
        created=datetime.fromisoformat(row.created),
    )
