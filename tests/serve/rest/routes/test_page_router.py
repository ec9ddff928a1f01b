"""The page's files: what is served with which headers, that nothing is loaded from elsewhere, that text stays text."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import kshot
from kshot.serve.rest.routes import page_router
from tests.lifecycle.page_loads import in_style, loads

FOLDER = Path(kshot.__file__).parent / "serve/page"
SCRIPTS = sorted(FOLDER.glob("*.js"))


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.include_router(page_router.router)
    return TestClient(app)


def test_each_file_of_the_folder_is_served_and_none_else(client: TestClient) -> None:
    assert {file.name for file in FOLDER.iterdir()} == {page_router.INDEX, *page_router.FILES}
    for name, kind in page_router.FILES.items():
        answer = client.get(f"/page/{name}")
        assert (answer.status_code, answer.content) == (200, (FOLDER / name).read_bytes())
        assert answer.headers["content-type"].startswith(kind)
    assert client.get("/").content == (FOLDER / page_router.INDEX).read_bytes()
    assert {client.get(f"/page/{name}").status_code for name in ("nothing.js", "..%2f__init__.py", "%2e%2e")} == {404}


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/app.js")
    again = client.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/page/recognise.js", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/nothing"])
def test_no_inline_script_and_no_other_host_may_run(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in headers["content-security-policy"] and "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_names_no_address_elsewhere() -> None:
    page = (FOLDER / page_router.INDEX).read_text()
    assert loads(page) == ["<link>", "page/icon.svg", "<link>", "page/style.css", "<script>", "page/app.js"]
    assert in_style((FOLDER / "style.css").read_text()) == []
    for script in SCRIPTS:
        assert "//" not in re.sub(r"^\s*//.*$| // .*$", "", script.read_text(), flags=re.MULTILINE), script.name


def test_text_is_never_read_as_markup() -> None:
    for script in SCRIPTS:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script.read_text())


def test_each_element_that_a_script_looks_for_is_on_the_page() -> None:
    ids = set(re.findall(r'id="([^"]+)"', (FOLDER / page_router.INDEX).read_text()))
    wanted = {name for script in SCRIPTS for name in re.findall(r'byId\("([^"]+)"\)', script.read_text())}
    assert wanted and wanted <= ids


def test_each_field_has_a_label() -> None:
    page = (FOLDER / page_router.INDEX).read_text()
    labelled = set(re.findall(r'<label for="([^"]+)"', page))
    assert labelled == set(re.findall(r'<(?:input|select) id="([^"]+)"', page))
