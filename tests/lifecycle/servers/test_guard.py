"""The guard of the servers: accepts permitted requests and refuses others before the application sees them."""

import asyncio
import base64
from typing import Any

import pytest

from kshot.lifecycle.servers.guard import SIGN_IN, guarded, sign_in_address

TOKEN = "kshot:" + "x" * 43
BASIC = "Basic " + base64.b64encode(TOKEN.encode()).decode()
OWN = {"host": "127.0.0.1:4200"}


def ask(headers: dict[str, str], *, checks_token: bool = True, **scope: Any) -> tuple[int, dict[str, str], str]:
    """Status (200: the application answered), headers and text of the answer to a request."""
    sent: list[Any] = []
    body = scope.pop("body", b"")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", **scope}
    whole["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(guarded(app, TOKEN, checks_token=checks_token)(whole, receive, send))
    if sent[0]["type"] == "websocket.close":
        return 403, {}, ""
    return sent[0]["status"], {a.decode(): b.decode() for a, b in sent[0]["headers"]}, sent[1]["body"].decode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example"},
        {"host": "evil.example:4200"},
        {"host": "127.0.0.1.evil.example:4200"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1:4200@evil.example"},
        {**OWN, "origin": "http://evil.example"},
        {**OWN, "origin": "null"},
        {**OWN, "origin": "http://127.0.0.1:8888"},
        {**OWN, "origin": "https://127.0.0.1:4200"},
        {**OWN, "origin": "http://localhost:4200"},
        {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {**OWN, "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_another_host_and_another_page_are_refused_with_the_token_too(headers: dict[str, str], kind: str) -> None:
    status, _, text = ask({**headers, "authorization": BASIC}, type=kind)
    assert status == 403 and "reached" not in text


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        {"host": "localhost:4200"},
        {"host": "[::1]:4200"},
        {"host": "127.0.0.1"},
        {**OWN, "origin": "http://127.0.0.1:4200"},
        {"host": "localhost:8080", "origin": "http://localhost:8080"},  # through a tunnel
        {**OWN, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "origin": "http://127.0.0.1:4200"},
        {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_its_own_pages_programs_and_links_are_let_through_and_framed_by_nobody(headers: dict[str, str]) -> None:
    status, answered, text = ask(headers)
    assert (status, text) == (200, "reached")
    assert answered["x-frame-options"] == "SAMEORIGIN"


def test_a_form_of_another_page_is_no_link() -> None:
    link = {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask(link, method="POST")[0] == 403


def test_without_the_token_nobody_reaches_what_checks_none_itself() -> None:
    for wrong in ({}, {"authorization": BASIC[:-3]}, {"authorization": "Bearer x"}, {"cookie": "kshot=1"}):
        assert ask({**OWN, **wrong}, checks_token=False)[0] == 401
    assert ask({**OWN, "authorization": BASIC}, checks_token=False)[0] == 200


def test_a_browser_signs_in_once_and_its_cookie_is_the_token_from_then_on() -> None:
    status, _, page = ask(OWN, path=SIGN_IN)
    assert status == 200 and TOKEN not in page
    assert ask(OWN, path=SIGN_IN, method="POST", body=b"guess")[0] == 401
    status, answered, _ = ask(OWN, path=SIGN_IN, method="POST", body=TOKEN.encode())
    assert status == 204 and "HttpOnly" in answered["set-cookie"] and "SameSite=Lax" in answered["set-cookie"]
    cookie = answered["set-cookie"].partition(";")[0]
    assert ask({**OWN, "cookie": f"other=1; {cookie}"}, checks_token=False)[0] == 200
    assert ask({**OWN, "cookie": cookie[:-1]}, checks_token=False)[0] == 401


def test_the_token_stands_in_the_address_where_a_browser_sends_it_to_nobody() -> None:
    assert sign_in_address("http://127.0.0.1:4200/", TOKEN) == f"http://127.0.0.1:4200{SIGN_IN}#{TOKEN}"


def test_localhost_leads_a_browser_to_the_name_that_its_sign_in_holds_for() -> None:
    browser = {"host": "localhost:4200", "accept": "text/html,*/*"}
    status, answered, _ = ask(browser, raw_path=b"/runs/a%0d%0ab", query_string=b"x=1")
    assert (status, answered["location"]) == (307, "http://127.0.0.1:4200/runs/a%0d%0ab?x=1")
