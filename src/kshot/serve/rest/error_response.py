"""Turns errors into responses of one form."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from kshot.serve.messages.gallery_messages import ErrorResponse, Problem
from kshot.serve.messages.refusals import Refused


def error_response(
    status: int, code: str, message: str, request: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response to a request that failed."""
    body = ErrorResponse(error=Problem(code=code, message=" ".join(message.split())), request=request)
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def refusal_response(refused: Refused, request: str) -> JSONResponse:
    """The response to a request that was refused."""
    return error_response(refused.status, refused.code, str(refused), request, refused.headers)
