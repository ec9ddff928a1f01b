"""Who may ask, teach and administer, by which name, and how often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from kshot.errors import ParamsError
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.access import Rates
from kshot.serve.settings import settings_from
from kshot.serve.store import keys
from tests.serve import served_project
from tests.serve.running import AT, ELSEWHERE, elsewhere, refused, running, service_of


@pytest.fixture(scope="module")
def client(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = served_project.copy(template, tmp_path_factory.mktemp("access") / "project")
    with running(root, hosts=("shop.example.org",)) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_client_on_this_machine_needs_no_key_and_any_other_does(client: TestClient) -> None:
    other = elsewhere(client)
    assert client.get("/v1/galleries").status_code == 200
    answer = other.get("/v1/galleries")
    assert "kshot serve key add" in refused(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    # Health, the page and the documents hold no data.
    for path in ("/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"):
        assert other.get(path).status_code == 200
    refused(other.get("/metrics"), 401, "unauthorized")


def test_a_proxy_on_this_machine_is_not_this_machine(client: TestClient) -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        refused(client.get("/v1/galleries", headers={name: "127.0.0.1"}), 401, "unauthorized")


def test_a_key_may_what_its_scope_says(client: TestClient) -> None:
    other, store = elsewhere(client), service_of(client).store
    texts = {scope: keys.add(store, scope, scope) for scope in keys.SCOPES}
    statuses = {
        scope: [
            other.get("/v1/galleries", headers=bearer(text)).status_code,
            other.delete("/v1/galleries/nowhere/examples/1", headers=bearer(text)).status_code,
            other.delete("/v1/galleries/nowhere", headers=bearer(text)).status_code,
        ]
        for scope, text in texts.items()
    }
    assert statuses == {"ask": [200, 403, 403], "teach": [200, 404, 403], "admin": [200, 404, 404]}
    answer = other.delete("/v1/galleries/nowhere", headers=bearer(texts["ask"]))
    assert "may ask; this needs the scope admin" in refused(answer, 403, "scope_missing")


def test_a_wrong_and_a_revoked_key_are_refused_also_on_this_machine(client: TestClient) -> None:
    store = service_of(client).store
    text = keys.add(store, "gone", "admin")
    assert client.get("/v1/galleries", headers=bearer(text)).status_code == 200
    keys.revoke(store, "gone")
    for key in (text, "kshot_x", "\xe4"):
        refused(
            client.get("/v1/galleries", headers=[(b"Authorization", f"Bearer {key}".encode("latin-1"))]),
            401,
            "unauthorized",
        )


def test_a_key_can_be_demanded_of_everybody(project: Path) -> None:
    with running(project, require_key=True) as client:
        refused(client.get("/v1/galleries"), 401, "unauthorized")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "192.0.2.1", "shop.example.org:443"])
def test_the_service_answers_to_its_names_and_to_addresses(client: TestClient, host: str) -> None:
    assert client.get("/v2/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1.evil.org", "", "localhost.evil.org", "[::1", "a b"])
def test_a_name_that_anybody_may_point_here_is_refused(client: TestClient, host: str) -> None:
    assert "--allow-host" in refused(client.get("/v1/galleries", headers={"Host": host}), 403, "unknown_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_a_request_of_another_page_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/galleries", json={"name": "foreign"}, headers=headers)
    refused(answer, 403, "foreign_page")
    assert "access-control-allow-origin" not in answer.headers
    assert "foreign" not in client.get("/v1/galleries").text


def test_the_own_page_may_ask_and_a_link_from_elsewhere_may_open_it(client: TestClient) -> None:
    own = {"Origin": AT, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/galleries", json={"name": "own"}, headers=own).status_code == 201
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200


def test_pages_of_an_allowed_origin_may_ask_with_a_key(project: Path) -> None:
    shop, preflight = "https://shop.example.org", {"Access-Control-Request-Method": "POST"}
    page = {"Origin": shop, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    with running(project, origins=(shop,)) as client:
        asked = client.options("/v1/galleries", headers={**page, **preflight})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, shop)
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
        # A page in a browser on this machine is not its owner: only the key says what it may do.
        without = client.post("/v1/galleries", json={"name": "shop"}, headers=page)
        refused(without, 401, "unauthorized")
        assert without.headers["access-control-allow-origin"] == shop  # so that the page can read the refusal
        text = keys.add(service_of(client).store, "page", "ask")
        found = client.get("/v1/galleries", headers={**page, **bearer(text)})
        assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, shop)
        assert "Origin" in found.headers["vary"] and "access-control-allow-credentials" not in found.headers
        for other in ("https://evil.example.org", "http://shop.example.org", shop + ".evil.org", "null"):
            for answer in (
                client.options("/v1/galleries", headers={"Origin": other, **preflight}),
                client.get("/v1/galleries", headers={"Origin": other, **bearer(text)}),
            ):
                refused(answer, 403, "foreign_page")
                assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "shop.example.org", "https://shop.example.org/", "https://*.example.org", "null"]
)
def test_an_origin_that_is_no_address_of_a_site_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ParamsError, match="origins hold"):
        settings_from({"KSHOT_SERVE_ORIGINS": f"https://a.example.org,{origin}"})


def test_a_caller_with_too_many_requests_waits_and_others_do_not(project: Path) -> None:
    with running(project, requests_per_second=2.0) as client:
        text = keys.add(service_of(client).store, "one", "ask")
        answers = [client.get("/v1/galleries") for _ in range(6)]
        assert [answer.status_code for answer in answers].count(200) == 4
        assert "2 requests a second" in refused(answers[-1], 429, "too_many_requests")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/v1/galleries", headers=bearer(text)).status_code == 200
        # Whoever tries keys is slowed down, too.
        other = TestClient(client.app, base_url=AT, client=ELSEWHERE)
        tried = [other.get("/v1/galleries", headers=bearer("kshot_x")).status_code for _ in range(6)]
        assert tried[:4] == [401] * 4 and tried[-1] == 429


def test_a_bucket_is_refilled_by_time() -> None:
    rates = Rates(2.0)
    for _ in range(4):
        rates.take("a", 100.0)
    with pytest.raises(Refused):
        rates.take("a", 100.1)
    rates.take("a", 100.6)
    rates.take("b", 100.1)


def test_a_known_key_counts_while_the_database_does_not_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(project) as client:
        other, store = elsewhere(client), service_of(client).store
        known, new = keys.add(store, "known", "ask"), keys.add(store, "new", "ask")
        assert other.get("/v1/service", headers=bearer(known)).status_code == 200

        def gone(*_: object, **__: object) -> None:
            raise Refused(503, "store_unreachable", "gone")

        for question in ("reading", "row"):
            monkeypatch.setattr(type(store.database), question, gone)
        described = other.get("/v1/service", headers=bearer(known)).json()
        assert described["state"] == "degraded" and "database does not answer" in described["notes"][0]
        assert other.get("/v2/health/ready").json()["state"] == "degraded"
        refused(other.get("/v1/service", headers=bearer(new)), 503, "store_unreachable")


def test_a_port_beyond_the_last_is_refused_instead_of_becoming_another() -> None:
    with pytest.raises(ParamsError, match="port is 65536; needs 65535 at most"):
        settings_from({"KSHOT_SERVE_PORT": "65536"})


@pytest.mark.parametrize("name", ["alias", "shadow"])
def test_a_version_in_place_of_an_alias_is_refused(name: str) -> None:
    with pytest.raises(ParamsError, match=f"the service's {name} is 2, a version; needs an alias, such as challenger"):
        settings_from({}, {name: "2"})
