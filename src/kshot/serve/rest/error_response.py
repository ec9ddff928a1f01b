"""Turns errors into responses of one form, and below /v2 of the Open Inference Protocol's."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from kshot.serve.messages.gallery_messages import ErrorResponse, InferenceErrorResponse, Problem
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.record import KEY, Scope

PROTOCOL = "/v2"


def error_response(
    scope: Scope, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response to a request that failed. scope: the request's in ASGI, with its record."""
    line, request = " ".join(message.split()), scope[KEY].id
    body: ErrorResponse | InferenceErrorResponse
    if scope["path"].startswith(f"{PROTOCOL}/"):
        body = InferenceErrorResponse(error=line, code=code, request=request)
    else:
        body = ErrorResponse(error=Problem(code=code, message=line), request=request)
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def refusal_response(scope: Scope, refused: Refused) -> JSONResponse:
    """The response to a request that was refused."""
    return error_response(scope, refused.status, refused.code, str(refused), refused.headers)
