"""The service itself: what it serves, its figures, and a page that lists its addresses."""

import html
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from kshot.serve.messages.gallery_messages import Service
from kshot.serve.rest.access import needs
from kshot.serve.service import GalleryService

router = APIRouter()
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td{padding:.3rem .6rem;border-top:1px solid #8884;vertical-align:top}"
    "code{font-size:.95em}"
    # On a phone the columns are lines, one below the other.
    "@media(max-width:40rem){td{display:block;border:0;padding:0;overflow-wrap:anywhere}tr{display:block;"
    "border-top:1px solid #8884;padding:.3rem 0}}"
)


def service_of(request: Request) -> GalleryService:
    """The service that the application was made for."""
    found: GalleryService = request.app.state.service
    return found


@router.get("/v1/service", dependencies=[Depends(needs("ask"))], tags=["service"])
def describe(request: Request) -> Service:
    """The project, the model that is served, and what a request may hold."""
    return service_of(request).describe()


@router.get("/metrics", dependencies=[Depends(needs("ask"))], include_in_schema=False)
def metrics(request: Request) -> Response:
    """The figures for Prometheus."""
    return Response(request.app.state.metrics.text(service_of(request)), media_type=PROMETHEUS)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """A page of every address, made from the OpenAPI document; it loads nothing else and runs no script."""
    schema: dict[str, Any] = request.app.openapi()
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(about.get('description') or about['summary'])}</td></tr>"
        for path, methods in schema["paths"].items()
        for method, about in methods.items()
    ]
    title = html.escape(f"kshot serve: {service_of(request).project}")
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>Messages and their fields: <a href=openapi.json>openapi.json</a> (OpenAPI {schema['openapi']}).</p>"
        f"<table>{''.join(rows)}</table></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})
