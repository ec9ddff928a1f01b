"""Access control: keys with scopes, clients on this machine, and the limit of requests."""

import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.hosts import is_loopback
from kshot.serve.rest.record import record_of
from kshot.serve.service import GalleryService
from kshot.serve.store import keys

FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")  # a proxy on this machine forwards the requests of others
BURST = 2.0  # seconds of requests that may come at once
MOST_CALLERS = 10_000
TRUSTED_S = 600.0  # how long a key counts while the database does not answer
SENT_AS = "send it as the header Authorization: Bearer KEY"


@dataclass(frozen=True)
class Caller:
    """`name` of the key, or the address; `scope`: ask, teach or admin."""

    name: str
    scope: str


class Rates:
    """A bucket of requests a caller, refilled at `per_second`; 0 is no limit."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str, now: float) -> None:
        """Count one request at the time `now`, in seconds. Raises Refused if the caller has none left."""
        if not self.per_second:
            return
        most = max(1.0, self.per_second * BURST)
        with self._lock:
            left, then = self._left.pop(caller, (most, now))
            left = min(most, left + (now - then) * self.per_second)
            self._left[caller] = (left - 1 if left >= 1 else left, now)
            while len(self._left) > MOST_CALLERS:
                self._left.popitem(last=False)
        if left < 1:
            wait = max(1, round((1 - left) / self.per_second))
            text = f"more than {self.per_second:g} requests a second; wait {wait} s"
            raise Refused(429, "too_many_requests", text, {"Retry-After": str(wait)})


class Access:
    """Finds out who sends a request."""

    def __init__(self, service: GalleryService) -> None:
        self.service = service
        self.rates = Rates(service.settings.requests_per_second)
        self._seen: dict[str, tuple[keys.Key, float]] = {}

    async def caller(self, request: Request) -> Caller:
        """The sender. Raises Refused without a key where one is needed, and for a key that is unknown or revoked."""
        address = request.client.host if request.client else ""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if key and scheme.lower() == "bearer":
            # One look into the embedded database takes less time than to change threads and back.
            is_sqlite = self.service.store.database.is_sqlite
            found = self._key(key.strip()) if is_sqlite else await run_in_threadpool(self._key, key.strip())
            if found is None:
                self.rates.take(address, time.monotonic())
                raise _unauthorized("the key is unknown or revoked; ask whoever runs the service for another")
            return Caller(found.name, found.scope)
        through_proxy = any(name in FORWARDED for name, _ in request.scope["headers"])
        from_page = record_of(request).origin is not None  # of another site, in a browser on this machine
        if self.service.settings.require_key or through_proxy or from_page or not is_loopback(address):
            self.rates.take(address, time.monotonic())
            raise _unauthorized(f"a key is needed; {SENT_AS}: `kshot serve key add NAME` makes one")
        return Caller(address, "admin")

    def _key(self, text: str) -> keys.Key | None:
        digest = keys.digest(text)
        try:
            found = keys.find(self.service.store.database, text)
        except Refused:
            seen = self._seen.get(digest)
            if seen is None or time.monotonic() - seen[1] > TRUSTED_S:
                raise
            return seen[0]
        if found is None:
            self._seen.pop(digest, None)
        elif len(self._seen) < MOST_CALLERS:
            self._seen[digest] = (found, time.monotonic())
        return found


def needs(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency of a route: the caller, who has this scope. Raises Refused otherwise."""

    async def caller(request: Request) -> Caller:
        access: Access = request.app.state.access
        found = await access.caller(request)
        record_of(request).fields["caller"] = found.name
        access.rates.take(found.name, time.monotonic())
        if keys.SCOPES.index(found.scope) < keys.SCOPES.index(scope):
            raise Refused(
                403, "scope_missing", f"the key {found.name!r} may {found.scope}; this needs the scope {scope}"
            )
        return found

    return caller


def _unauthorized(text: str) -> Refused:
    return Refused(401, "unauthorized", text, {"WWW-Authenticate": "Bearer"})
