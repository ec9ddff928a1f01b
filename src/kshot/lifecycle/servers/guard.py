"""A guard for a web application on this machine: allows only its own pages and programs that have the token.

Requests from a page of another origin, or to a name that an attacker's DNS resolves to 127.0.0.1, are refused before
the application sees them, including WebSockets. A browser signs in once with the token, at `sign_in_address`.
"""

import base64
import hashlib
import hmac
import html
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

SIGN_IN = "/kshot-sign-in"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
LONGEST = 4096  # bytes of a sign-in request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# The token follows the #, which a browser never sends. Prefect's pages read it where the script stores it.
PAGE = f"""<!doctype html><html><meta charset="utf-8"><title>kshot: sign in</title>
<body style="font-family: sans-serif; margin: 3rem"><p id="said">signing in ...</p><script>
const token = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", "{SIGN_IN}");
fetch("{SIGN_IN}", {{method: "POST", body: token}}).then(answer => {{
  if (!answer.ok) throw new Error();
  localStorage.setItem("prefect-password", btoa(token));
  location.replace("/");
}}).catch(() => {{
  document.getElementById("said").textContent =
    "This is not the token of this server. Run `kshot ui` in the project and open the address that it prints.";
}});
</script></body></html>"""
STRANGER = "sign in first: run `kshot ui` in the project and open the address that it prints"


def guarded(app: App, token: str, *, checks_token: bool) -> App:
    """Return `app` behind the guard.

    checks_token: whether `app` itself refuses requests without the token, as Prefect does with
        PREFECT_SERVER_API_AUTH_STRING. Otherwise the guard does: basic authentication, or the cookie of a sign-in.
    """

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        trouble = refusal(scope)
        if trouble:
            return await _refuse(scope, send, 403, trouble)
        headers, method = _headers(scope), scope.get("method", "")
        if scope["path"] == SIGN_IN and scope["type"] == "http":
            return await _sign_in(method, token, receive, send)
        host = headers["host"][0]
        if host.startswith("localhost") and method == "GET" and "text/html" in "".join(headers.get("accept", [])):
            # Pages request their data from 127.0.0.1, and a sign-in is valid for one name.
            query = b"?" + scope["query_string"] if scope.get("query_string") else b""
            place = f"http://127.0.0.1{host.removeprefix('localhost')}".encode() + scope["raw_path"] + query
            return await _answer(send, 307, "", [(b"location", place)])
        if not checks_token and not _has_token(headers, token):
            return await _refuse(scope, send, 401, STRANGER)
        return await app(scope, receive, _unframed(send))

    return guard


def sign_in_address(address: str, token: str) -> str:
    """Return the address at which a person's browser signs in to the guarded server at `address`."""
    return f"{address.rstrip('/')}{SIGN_IN}#{token}"


def refusal(scope: Message) -> str:
    """Return why a request is refused, whoever sends it; '' if it may come from this server's own pages."""
    headers = _headers(scope)
    hosts = headers.get("host", [])
    if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK:
        return "this server answers only to 127.0.0.1: the address names another host"
    if any(origin != f"http://{hosts[0]}" for origin in headers.get("origin", [])):
        return "this server takes only requests of its own pages: the request comes from another page"
    site = headers.get("sec-fetch-site", ["none"])[0]
    if site in ("cross-site", "same-site"):
        opens = (
            scope.get("method") == "GET"
            and headers.get("sec-fetch-mode") == ["navigate"]
            and headers.get("sec-fetch-dest") == ["document"]
        )
        if not opens:
            return "this server takes only requests of its own pages: the request comes from another page"
    return ""


def _name(host: str) -> str:
    """Return the host without its port, '' if the port is invalid."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        return host
    return name if port.isdigit() else ""


def _has_token(headers: dict[str, list[str]], token: str) -> bool:
    given = []
    for line in headers.get("authorization", []):
        scheme, _, credentials = line.partition(" ")
        if scheme.lower() == "basic":
            try:
                given.append(base64.b64decode(credentials, validate=True).decode())
            except ValueError:
                return False
    for line in headers.get("cookie", []):
        try:
            found = SimpleCookie(line).get(_cookie(token))
        except CookieError:
            continue
        given += [found.value.replace("+", ":", 1)] if found else []
    return any(hmac.compare_digest(one.encode(), token.encode()) for one in given)


def _cookie(token: str) -> str:
    """Return the cookie's name. Browsers share cookies between ports, so each project needs its own name."""
    return f"kshot-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


async def _sign_in(method: str, token: str, receive: Receive, send: Send) -> None:
    """Show the page, or set the cookie if the token is posted."""
    if method == "GET":
        return await _answer(send, 200, PAGE, [(b"content-type", b"text/html; charset=utf-8")])
    body, more = b"", method == "POST"
    while more and len(body) <= LONGEST:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if not hmac.compare_digest(body, token.encode()):
        return await _answer(send, 401, "not the token of this server")
    # ":" is not allowed in a cookie.
    value = f"{_cookie(token)}={token.replace(':', '+', 1)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
    return await _answer(send, 204, "", [(b"set-cookie", value.encode())])


async def _refuse(scope: Message, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the handshake gets a 403
        return
    await _answer(send, status, html.escape(f"kshot: {why}\n"))


async def _answer(send: Send, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    lines = [(b"cache-control", b"no-store"), *headers]
    if not any(name == b"content-type" for name, _ in lines):
        lines.append((b"content-type", b"text/plain; charset=utf-8"))
    send = _unframed(send)
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": text.encode()})


def _unframed(send: Send) -> Send:
    """Return `send` with headers that prevent framing by other pages and do not send addresses to them."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message.get("headers", [])}
            more = [(b"x-frame-options", b"SAMEORIGIN"), (b"referrer-policy", b"same-origin")]
            message["headers"] = [*message.get("headers", []), *(line for line in more if line[0] not in known)]
        await send(message)

    return sending


def _headers(scope: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", []):
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
