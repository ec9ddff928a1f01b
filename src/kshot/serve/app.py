"""The application: `create_app(open_service(root, settings))`, which uvicorn serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from kshot.serve.messages.gallery_messages import ErrorResponse
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.access import Access
from kshot.serve.rest.error_response import error_response, refusal_response
from kshot.serve.rest.front import Front
from kshot.serve.rest.metrics import Metrics
from kshot.serve.rest.routes import (
    examples_router,
    galleries_router,
    inference_router,
    page_router,
    recognise_router,
    service_router,
    transfer_router,
)
from kshot.serve.rest.routes.feedback_router import feedback_router
from kshot.serve.rest.routes.galleries_router import TEACH
from kshot.serve.service import GalleryService

# Fixed addresses first: a class name may hold any path.
ROUTERS = (
    *(service_router.router, inference_router.router, recognise_router.router, transfer_router.router),
    *(examples_router.router, galleries_router.router, page_router.router),
)

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def create_app(service: GalleryService) -> FastAPI:
    """The application of an opened service, which it closes when it stops.

    In tests: `with fastapi.testclient.TestClient(create_app(service), client=("127.0.0.1", 1)) as client:`; the base
    address must be a known host, such as http://127.0.0.1:8000.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPI(
        title="kshot serve",
        version="1",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        responses={"default": {"model": ErrorResponse, "description": "What cannot be done, in one line"}},
        generate_unique_id_function=lambda route: route.name,  # the functions of generated clients have these names
    )
    app.state.service, app.state.metrics, app.state.access = service, Metrics(), Access(service)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(feedback_router(service.log, dependencies=TEACH))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(
        Front, settings=service.settings, metrics=app.state.metrics, recognise=recognise_router.recognise_response
    )
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return refusal_response(request.scope, error)


async def _http(request: Request, error: Exception) -> JSONResponse:
    """An address or a method that does not exist."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    text = f"{request.method} {request.url.path}: {error.detail}; GET /docs lists every address"
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # Starlette names only the methods of the first route
        headers["Allow"] = ", ".join(_methods_of(request))
    return error_response(request.scope, error.status_code, code, text, headers)


def _methods_of(request: Request) -> list[str]:
    """The methods of the address of a request."""
    scopes = [{**request.scope, "method": method} for method in METHODS]
    return [one["method"] for one in scopes if any(route.matches(one)[0] == Match.FULL for route in request.app.routes)]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A parameter or a body that does not fit: the first error, without the value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return error_response(request.scope, 400, "bad_json", f"the body is no JSON: {first['ctx']['error']}")
    place = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    return error_response(request.scope, 422, "bad_request", f"{place}: {first['msg']}")
