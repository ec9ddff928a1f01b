"""The page at `/`: static files of the package, which load nothing from elsewhere and run no inline script."""

import hashlib
import importlib.resources
from functools import cache

from fastapi import APIRouter, Request, Response

# Names on the wire; a file that is not named here is not served.
FILES = {
    "app.js": "text/javascript",
    "recognise.js": "text/javascript",
    "elements.js": "text/javascript",
    "groups.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "images.js": "text/javascript",
    "review.js": "text/javascript",
    "service.js": "text/javascript",
    "style.css": "text/css",
    "teach.js": "text/javascript",
}
INDEX = "index.html"
# `blob:` shows images that the person chose, and those fetched with a key.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",  # revalidated each time, with a 304: a new version of kshot shows at once
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
def index(request: Request) -> Response:
    """The page itself."""
    return _static(request, INDEX, "text/html")


@router.get("/page/{name}")
def file(request: Request, name: str) -> Response:
    """One of the page's scripts, its style or its icon; 404 for any other name."""
    if name not in FILES:
        return Response(status_code=404, headers=HEADERS)
    return _static(request, name, FILES[name])


def _static(request: Request, name: str, kind: str) -> Response:
    content, tag = _content(name)
    headers = {**HEADERS, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)


@cache
def _content(name: str) -> tuple[bytes, str]:
    """The bytes of a file and its tag, which names the content."""
    content = importlib.resources.files("kshot.serve").joinpath("page", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
