"""Recognise and verify."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from kshot.serve.actions.prompt_recognition import recognise_promptly
from kshot.serve.actions.recognising import check_count, recognise_images, verify_image
from kshot.serve.engine.decoding import SentImage
from kshot.serve.messages.recognise_messages import RecogniseRequest, RecogniseResponse, VerifyRequest, VerifyResponse
from kshot.serve.rest.access import needs
from kshot.serve.rest.bodies import (
    SMALL_BYTES,
    field_of,
    from_base64,
    images_of,
    is_form,
    number_of,
    read_form,
    read_json,
)
from kshot.serve.rest.openapi import FORM_RECOGNISE, FORM_VERIFY, body
from kshot.serve.rest.record import record_of
from kshot.serve.rest.routes.service_router import service_of

router = APIRouter(prefix="/v1/galleries/{gallery}", tags=["recognise"])
ASKER = needs("ask")
Asker = Annotated[object, Depends(ASKER)]


@router.post("/recognise", openapi_extra=body(FORM_RECOGNISE, RecogniseRequest), response_model=RecogniseResponse)
async def recognise(request: Request, gallery: str) -> Response:
    """Which class each image shows, how sure that is, whether it is unknown, and which examples are nearest."""
    return await recognise_response(request, gallery)


async def recognise_response(request: Request, gallery: str) -> Response:
    """The response to POST recognise, with its access check: `front` calls it without the router. Raises Refused."""
    await ASKER(request)
    service, record = service_of(request), record_of(request)
    sent: Sequence[SentImage | str]
    if is_form(request):
        form = await read_form(request, service.settings.images_per_request)
        sent = [image for image, _ in images_of(form, "images")]
        n_next, n_nearest = number_of(form, "next", 3), number_of(form, "nearest", 3)
    else:
        message = await read_json(request, RecogniseRequest)
        sent, n_next, n_nearest = message.images, message.next, message.nearest
        check_count(service, len(sent))

    def images() -> list[SentImage]:
        return [one if isinstance(one, SentImage) else from_base64(one, f"images[{at}]") for at, one in enumerate(sent)]

    def work() -> RecogniseResponse:
        return recognise_images(service, gallery, images(), record.id, n_next=n_next, n_nearest=n_nearest)

    found = None
    if sum(len(one.content if isinstance(one, SentImage) else one) for one in sent) <= SMALL_BYTES:
        found = await recognise_promptly(service, gallery, images(), record.id, n_next=n_next, n_nearest=n_nearest)
    if found is None:
        found = await run_in_threadpool(work)
    content = found.model_dump_json(by_alias=True).encode()
    record.fields |= {"images": len(sent), "model_version": found.model_version, "revision": found.revision}
    request.app.state.metrics.count(found)
    return Response(content, media_type="application/json")


@router.post("/verify", openapi_extra=body(FORM_VERIFY, VerifyRequest))
async def verify(request: Request, gallery: str, _: Asker) -> VerifyResponse:
    """Whether an image is of a class: yes if the class fits best and the image is within the threshold."""
    service, record = service_of(request), record_of(request)
    if is_form(request):
        form = await read_form(request, 1)
        class_name, n_nearest = field_of(form, "class"), number_of(form, "nearest", 3)
        image = images_of(form, "image")[0][0]
    else:
        sent = await read_json(request, VerifyRequest)
        class_name, n_nearest = sent.class_name, sent.nearest
        image = await run_in_threadpool(from_base64, sent.image, "image")
    found = await run_in_threadpool(verify_image, service, gallery, class_name, image, record.id, n_nearest=n_nearest)
    record.fields |= {"images": 1, "model_version": found.model_version, "revision": found.revision}
    return found
