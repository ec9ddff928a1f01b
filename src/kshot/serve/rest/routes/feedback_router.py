"""/v1/feedback: logged requests to review, and the labels that persons give them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.params import Depends

from kshot.errors import DataError
from kshot.serve.actions import logged_requests
from kshot.serve.actions.logged_requests import Order
from kshot.serve.messages.feedback_messages import Feedback, GivenLabels, LabelResponse
from kshot.serve.request_log import RequestLog

LARGEST_PAGE = 500
# What a browser may show as an image; anything else is a file to save.
SHOWN = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


def feedback_router(log: RequestLog, dependencies: Sequence[Depends] = ()) -> APIRouter:
    """The router on an open log. `dependencies` check the client's key: to read and to label needs scope teach."""
    router = APIRouter(prefix="/v1/feedback", tags=["feedback"], dependencies=list(dependencies))

    @router.get("", summary="Logged requests, by what is worth a look")
    def items(
        gallery: str | None = None,
        order: Order = "unknown",
        after: int | None = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
        labelled: bool | None = None,
    ) -> Feedback:
        return logged_requests.items(log, gallery=gallery, order=order, after=after, limit=limit, labelled=labelled)

    @router.get("/{item:int}/image", summary="The logged image", response_class=Response)
    def image(item: int) -> Response:
        content = logged_requests.image(log, item)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
        return Response(content, media_type=_media_type(content), headers=headers)

    @router.post("/labels", summary="Say which class logged images show")
    def labels(given: GivenLabels) -> LabelResponse:
        pairs = [(one.item, one.class_name) for one in given.labels]
        return LabelResponse(labelled=logged_requests.give_labels(log, pairs, given.by))

    @router.delete("/{item:int}", status_code=204, summary="Delete a logged request and its image")
    def forget(item: int) -> None:
        logged_requests.forget(log, item)

    return router


def _media_type(content: bytes) -> str:
    from kshot.data.image_formats import read_header

    try:
        return SHOWN.get(read_header(content).format, "application/octet-stream")
    except DataError:
        return "application/octet-stream"
