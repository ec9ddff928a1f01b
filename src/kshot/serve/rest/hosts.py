"""Refuses requests that another page makes a browser send: by DNS rebinding, or across sites."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.record import Scope

READS = ("GET", "HEAD", "OPTIONS")


def refuse_foreign(scope: Scope, hosts: tuple[str, ...], origins: tuple[str, ...]) -> str | None:
    """Raise Refused for a Host header that names somebody else, and for a request of another site's page.

    Returns the origin of a page that is one of `origins`; None for the own page and for programs.

    A name can be made to resolve to this machine by whoever owns it, so only known names are answered: localhost, those
    in `hosts`, and IP addresses, which nobody can take over.
    """
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(found) != 1 or not _is_known(found[0], hosts):
        raise Refused(
            403,
            "unknown_host",
            f"this service does not go by the name {', '.join(found) or 'of nobody'}; name it with --allow-host NAME",
        )
    headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin")
    if origin in origins:
        return origin
    if origin is not None and urlsplit(origin).netloc.lower() != found[0].lower():
        raise _foreign()
    site = headers.get(b"sec-fetch-site", "none")
    if site in ("cross-site", "same-site") and not (
        scope["method"] in READS and headers.get(b"sec-fetch-mode") == "navigate"
    ):
        raise _foreign()
    return None


@lru_cache(1024)
def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


@lru_cache(1024)
def _is_known(host: str, hosts: tuple[str, ...]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in (one.lower() for one in hosts):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _foreign() -> Refused:
    return Refused(403, "foreign_page", "this service takes only requests of its own page and of programs")
