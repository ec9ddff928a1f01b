"""The outermost layer: names each request, guards it, bounds its body and its time, logs and counts it."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from kshot import full_disk
from kshot.serve.messages.refusals import Refused, disk_full
from kshot.serve.rest.error_response import error_response, refusal_response
from kshot.serve.rest.hosts import refuse_foreign
from kshot.serve.rest.json_log import LOG, REQUEST
from kshot.serve.rest.metrics import Metrics
from kshot.serve.rest.record import KEY, Record, Scope
from kshot.serve.settings import ServeSettings

Message = Scope
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Recogniser = Callable[[Request, str], Awaitable[Response]]

BODY_S = 30.0  # between two parts of a body: a client that stops sending is not waited for longer
SEND_S = 60.0  # for one part of a response: a client that does not read is cut off
IMPORT = "/import"
PLAIN = b"identity"
RECOGNISE = re.compile("/v1/galleries/([^/]+)/recognise")
ROUTE = SimpleNamespace(path="/v1/galleries/{gallery}/recognise")  # for the metrics, as the router names it
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# For pages of the origins that the settings allow. Cookies are not: there are none, and a key is a header.
READABLE = ((b"vary", b"Origin"), (b"access-control-expose-headers", b"X-Request-Id, Retry-After"))
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


class Front:
    """The application behind its guard."""

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics, recognise: Recogniser) -> None:
        self.app, self.settings, self.metrics, self.recognise = app, settings, metrics, recognise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request: every outcome has a response of one form and a line in the log."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        record = scope[KEY] = Record()
        began, sender = time.perf_counter(), _Sender(send, record)
        try:
            record.origin = refuse_foreign(scope, self.settings.hosts, self.settings.origins)
            if record.origin is not None and scope["method"] == "OPTIONS":
                return await Response(status_code=204, headers=PREFLIGHT)(scope, receive, sender)
            await self._respond(scope, self._bounded(scope, receive), sender)
        except Refused as refused:
            await _instead(refusal_response(scope, refused), scope, receive, sender)
        except TimeoutError:
            record.fields["cut_off"] = True  # the client does not read: there is nobody to send to
        except Exception as error:
            LOG.exception("a request failed", extra={"fields": {"request": record.id, "path": scope["path"]}})
            text = f"the service failed on this request; its log says more under {record.id}"
            response = error_response(scope, 500, "internal", text)
            if isinstance(error, OSError) and full_disk.is_full(error):  # of an upload or an export
                response = refusal_response(scope, disk_full())
            await _instead(response, scope, receive, sender)
        finally:
            self._note(scope, record, sender.status, time.perf_counter() - began)
        return None

    async def _respond(self, scope: Scope, receive: Receive, sender: "_Sender") -> None:
        """By the router, except POST recognise: routing and validation would take longer than a small network does."""
        if scope["method"] == "HEAD":  # of monitors and load balancers; the server sends no body for it
            scope = {**scope, "method": "GET"}
        found = RECOGNISE.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        if found is None:
            return await self.app(scope, receive, sender)
        scope["route"] = ROUTE
        response = await self.recognise(Request(scope, receive), found[1])
        return await response(scope, receive, sender)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, which raises Refused for a body that is compressed, too large or too slow."""
        settings = self.settings
        most = settings.import_bytes if scope["path"].endswith(IMPORT) else settings.body_bytes
        headers = dict(scope["headers"])
        encoding, announced = headers.get(b"content-encoding", PLAIN), headers.get(b"content-length", b"0")
        if encoding.lower() != PLAIN:
            raise Refused(
                415, "encoded_body", "the body has a Content-Encoding; needs it as it is, without that header"
            )
        if announced.isdigit() and int(announced) > most:
            raise _too_large(most)
        got, whole = 0, False

        async def receiving() -> Message:
            nonlocal got, whole
            if whole:
                return await receive()  # waits for the client to go away
            try:
                async with asyncio.timeout(BODY_S):
                    message = await receive()
            except TimeoutError:
                text = f"no part of the request came for {BODY_S:.0f} s; send it again"
                raise Refused(408, "body_too_slow", text, {"Connection": "close"}) from None
            got += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if got > most:
                raise _too_large(most)
            return message

        return receiving

    def _note(self, scope: Scope, record: Record, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.requests.labels(route, scope["method"], str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        client = scope.get("client")
        fields: dict[str, Any] = {
            "request": record.id,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": client[0] if client else None,
            **record.fields,
        }
        LOG.info(REQUEST, extra={"fields": fields})


class _Sender:
    """`send` with the headers of every response; `status` is the one that was sent, 499 if none was."""

    def __init__(self, send: Send, record: Record) -> None:
        self.send, self.record, self.status = send, record, 499

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            known = {name.lower() for name, _ in message.get("headers", [])}
            more = [(b"x-request-id", self.record.id.encode()), *(line for line in HEADERS if line[0] not in known)]
            if self.record.origin is not None:
                more += [(b"access-control-allow-origin", self.record.origin.encode()), *READABLE]
            message["headers"] = [*message.get("headers", []), *more]
        async with asyncio.timeout(SEND_S):
            await self.send(message)


def _too_large(most: int) -> Refused:
    text = f"the request is larger than {most:,} bytes; send fewer images at once"
    return Refused(413, "body_too_large", text, {"Connection": "close"})


async def _instead(response: Response, scope: Scope, receive: Receive, sender: _Sender) -> None:
    """Send this response, unless another one has begun."""
    if sender.status == 499:
        await response(scope, receive, sender)
