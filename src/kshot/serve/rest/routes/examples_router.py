"""Examples of a gallery: teach, list, fetch and delete them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from kshot.serve.actions import deleting
from kshot.serve.actions.recognising import check_count
from kshot.serve.actions.teaching import Lesson, message_of, teach
from kshot.serve.messages.gallery_messages import ChangeResponse, ExampleResponse, Examples, NewExamples, TeachResponse
from kshot.serve.messages.names import normal
from kshot.serve.messages.refusals import Refused, unknown_example
from kshot.serve.rest.access import needs
from kshot.serve.rest.bodies import field_of, from_base64, images_of, is_form, read_form, read_json
from kshot.serve.rest.openapi import FORM_TEACH, body
from kshot.serve.rest.routes.galleries_router import ASK, TEACH, changed
from kshot.serve.rest.routes.service_router import service_of
from kshot.serve.service import GalleryService
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import ExampleRow

router = APIRouter(prefix="/v1/galleries/{gallery}/examples", tags=["examples"])
SANDBOX = {"Content-Security-Policy": "default-src 'none'; sandbox"}  # an image is never a page


@router.get("", dependencies=ASK)
def list_examples(
    request: Request,
    gallery: str,
    class_name: Annotated[str | None, Query(alias="class")] = None,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Examples:
    """Examples by id, one page at a time: `after` is the last page's `next`."""
    service = service_of(request)
    with service.store.database.reading() as connection:
        found = galleries.find(connection, normal(gallery))
        wanted = None if class_name is None else normal(class_name)
        rows = examples.page(connection, found.id, class_name=wanted, after=after, limit=limit + 1)
    shown = rows[:limit]
    return Examples(
        model_version=service.snapshot.version.version,
        revision=found.revision,
        examples=[message_of(row) for row in shown],
        next=shown[-1].id if len(rows) > limit else None,
    )


@router.post("", status_code=201, openapi_extra=body(FORM_TEACH, NewExamples))
async def teach_examples(
    request: Request, gallery: str, _: Annotated[object, Depends(needs("teach"))]
) -> TeachResponse:
    """Teach images: all or none. An image that its class holds already is not added again, and listed as `already`."""
    service = service_of(request)
    if is_form(request):
        form = await read_form(request, service.settings.images_per_request)
        name = field_of(form, "class")
        lessons = [Lesson(name, image, file, form.fields.get("request")) for image, file in images_of(form, "images")]
    else:
        sent = await read_json(request, NewExamples)
        check_count(service, len(sent.examples))
        lessons = await run_in_threadpool(_lessons, sent)
    return await run_in_threadpool(teach, service, gallery, lessons)


@router.get("/{example}", dependencies=ASK)
def get_example(request: Request, gallery: str, example: int) -> ExampleResponse:
    """One example, without its image."""
    service = service_of(request)
    revision, row = _find(service, gallery, example)
    about = message_of(row).model_dump()
    return ExampleResponse(model_version=service.snapshot.version.version, revision=revision, **about)


@router.get("/{example}/image", dependencies=ASK, response_class=Response)
def get_image(request: Request, gallery: str, example: int) -> Response:
    """The image file, as it was taught."""
    service = service_of(request)
    _, row = _find(service, gallery, example)
    try:
        content = service.store.images.read(row.sha256)
    except FileNotFoundError:
        raise unknown_example(gallery, example) from None
    except OSError as error:
        reason = f"the image cannot be read ({error.strerror or error}); try again"
        raise Refused(503, "images_unreachable", reason) from error
    return Response(content, media_type=row.media_type, headers=SANDBOX)


@router.delete("/{example}", dependencies=TEACH)
def delete_example(request: Request, gallery: str, example: int) -> ChangeResponse:
    """Delete one example; its image is deleted, too, unless another example shows it."""
    service = service_of(request)
    _check_id(gallery, example)
    return changed(service, deleting.delete_example(service, normal(gallery), example))


def _lessons(sent: NewExamples) -> list[Lesson]:
    return [
        Lesson(one.class_name, from_base64(one.image, f"examples[{place}].image"), one.name, one.request)
        for place, one in enumerate(sent.examples)
    ]


def _find(service: GalleryService, gallery: str, example: int) -> tuple[int, ExampleRow]:
    _check_id(gallery, example)
    with service.store.database.reading() as connection:
        found = galleries.find(connection, normal(gallery))
        return found.revision, examples.one(connection, found.id, found.name, example)


def _check_id(gallery: str, example: int) -> None:
    if not 0 < example < 2**53:  # a database takes no larger number
        raise unknown_example(gallery, example)
