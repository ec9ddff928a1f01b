"""Turns errors into responses of one form."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from kshot.serve.messages.gallery_messages import ErrorAnswer, Problem
from kshot.serve.messages.refusals import Refused


def error_answer(
    status: int, code: str, message: str, request: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response to a request that failed."""
    body = ErrorAnswer(error=Problem(code=code, message=" ".join(message.split())), request=request)
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def refusal_answer(refused: Refused, request: str) -> JSONResponse:
    """The response to a request that was refused."""
    return error_answer(refused.status, refused.code, str(refused), request, refused.headers)
