"""The way of a person who teaches and asks, through every address."""

import base64
import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from kshot.serve.store.image_files import sha256_of
from tests.serve import served_project
from tests.serve.running import ask, files, refused, running, service_of, teach

Classes = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def client(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One service for the tests of this file; each makes galleries of its own."""
    root = served_project.copy(template, tmp_path_factory.mktemp("app") / "project")
    with running(root) as client:
        yield client


@pytest.fixture
def shop(client: TestClient, request: pytest.FixtureRequest) -> str:
    """An empty gallery with the name of the test."""
    name = request.node.name[:60]
    assert client.post("/v1/galleries", json={"name": name}).status_code == 201
    return str(name)


def first(classes: Classes, count: int) -> Classes:
    return dict(list(classes.items())[:count])


def test_classes_are_taught_and_recognised(client: TestClient, shop: str, classes: Classes) -> None:
    few = first(classes, 5)
    for name, images in few.items():
        taught = teach(client, shop, name, images[:3])
        assert [one["class"] for one in taught["examples"]] == [name] * 3 and taught["notes"] == []
    answer = ask(client, shop, [image for images in few.values() for image in images[3:]], next=2, nearest=2)
    found = answer.json()
    assert (answer.status_code, found["model_version"], found["revision"]) == (200, "1", 6)
    assert found["request"] == answer.headers["X-Request-Id"] and found["calibrated"] is False
    truth = [name for name in few for _ in range(3)]
    right = sum(one["label"] == name for one, name in zip(found["results"], truth, strict=True))
    assert right >= 9  # of 15; chance is 3
    for one in found["results"]:
        assert len(one["next"]) == 2 and len(one["nearest"]) == 2
        assert one["unknown"] == (one["distance"] > one["threshold"]) or one["unknown"] is False
        shares = [one["probability"], *(other["probability"] for other in one["next"])]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1.0001
    # The same in JSON.
    sent = {"images": [base64.b64encode(few[name][3]).decode() for name in few]}
    same = client.post(f"/v1/galleries/{shop}/recognise", json=sent).json()
    assert [one["label"] for one in same["results"]] == [one["label"] for one in found["results"][::3]]


def test_an_example_is_listed_fetched_and_deleted(client: TestClient, shop: str, classes: Classes) -> None:
    (name, images), *_ = classes.items()
    first_one, *_ = teach(client, shop, name, images[:3])["examples"]
    place = f"/v1/galleries/{shop}/examples"
    page = client.get(place, params={"limit": 2}).json()
    assert len(page["examples"]) == 2 and page["examples"][0] == first_one
    rest = client.get(place, params={"limit": 2, "after": page["next"], "class": name}).json()
    assert (len(rest["examples"]), rest["next"]) == (1, None)
    one = client.get(f"{place}/{first_one['id']}").json()
    assert first_one.items() <= one.items() and (one["width"], one["name"]) == (first_one["width"], "0.png")
    image = client.get(f"{place}/{first_one['id']}/image")
    assert (image.content, image.headers["content-type"]) == (images[0], "image/png")
    assert (
        image.headers["x-content-type-options"] == "nosniff" and "sandbox" in image.headers["content-security-policy"]
    )
    deleted = client.delete(f"{place}/{first_one['id']}").json()
    assert deleted == {"model_version": "1", "revision": page["revision"] + 1}
    for answer in (client.get(f"{place}/{first_one['id']}"), client.delete(f"{place}/{first_one['id']}")):
        refused(answer, 404, "unknown_example")
    found = ask(client, shop, [images[0]], nearest=100).json()["results"][0]
    assert first_one["id"] not in [near["example"] for near in found["nearest"]] and len(found["nearest"]) == 2


def test_a_gallery_is_renamed_given_a_threshold_and_deleted(client: TestClient, shop: str, classes: Classes) -> None:
    (name, images), *_ = classes.items()
    teach(client, shop, name, images[:1])
    changed = client.patch(f"/v1/galleries/{shop}", json={"name": f"{shop} 2", "unknown_threshold": 0.001}).json()
    assert (changed["name"], changed["unknown_threshold"]) == (f"{shop} 2", 0.001)
    (found,) = ask(client, changed["name"], [images[1]]).json()["results"]
    assert (found["unknown"], found["probability"], found["threshold"]) == (True, None, 0.001)
    back = client.patch(f"/v1/galleries/{changed['name']}", json={"unknown_threshold": None}).json()
    assert (back["unknown_threshold"], back["classes"]) == (None, [{"name": name, "examples": 1}])
    assert client.delete(f"/v1/galleries/{changed['name']}").status_code == 204
    refused(client.get(f"/v1/galleries/{changed['name']}"), 404, "unknown_gallery")
    assert changed["name"] not in [one["name"] for one in client.get("/v1/galleries").json()["galleries"]]


def test_a_class_with_parts_in_its_name_is_renamed_joined_and_deleted(
    client: TestClient, shop: str, classes: Classes
) -> None:
    (one, images), (other, more), *_ = classes.items()
    teach(client, shop, one, images[:2])
    teach(client, shop, other, more[:1])
    place = f"/v1/galleries/{shop}/classes"
    refused(client.patch(f"{place}/{one}", json={"name": other}), 409, "class_exists")
    assert client.patch(f"{place}/{one}", json={"name": other, "merge": True}).json()["revision"] == 4
    refused(client.patch(f"{place}/{one}", json={"name": "x"}), 404, "unknown_class")
    assert client.get(f"/v1/galleries/{shop}").json()["classes"] == [{"name": other, "examples": 3}]
    assert client.delete(f"{place}/{other}").status_code == 200
    assert client.get(f"/v1/galleries/{shop}").json()["classes"] == []
    refused(ask(client, shop, [images[0]]), 409, "empty_gallery")


def test_an_image_is_verified(client: TestClient, shop: str, classes: Classes) -> None:
    (one, images), (other, more), *_ = classes.items()
    teach(client, shop, one, images[:2])
    teach(client, shop, other, more[:2])
    place = f"/v1/galleries/{shop}/verify"
    yes = client.post(place, data={"class": one}, files=files(images[:1], "image")).json()
    sent = {"class": other, "image": base64.b64encode(images[0]).decode()}
    no = client.post(place, json=sent).json()
    assert (yes["same"], yes["class"], yes["best"]) == (True, one, one)
    assert (no["same"], no["class"], no["best"]) == (False, other, one)
    assert yes["probability"] + no["probability"] == pytest.approx(1)
    assert {near["class"] for near in no["nearest"]} == {other}
    refused(client.post(place, json={**sent, "class": "x"}), 404, "unknown_class")


def test_an_export_is_imported_into_another_gallery(client: TestClient, shop: str, classes: Classes) -> None:
    for name, images in first(classes, 3).items():
        teach(client, shop, name, images[:2])
    exported = client.get(f"/v1/galleries/{shop}/export")
    assert exported.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(exported.content)).namelist()
    assert "manifest.csv" in names and len(names) == 7
    client.post("/v1/galleries", json={"name": f"{shop} copy"})
    place = f"/v1/galleries/{shop} copy/import"
    taken = client.post(place, content=exported.content, headers={"Content-Type": "application/zip"}).json()
    assert (taken["taken"], taken["already"], taken["left_out"], taken["revision"]) == (6, 0, [], 2)
    again = client.post(place, files={"file": ("gallery.zip", exported.content)}).json()
    assert (again["taken"], again["already"], again["revision"]) == (0, 6, 2)
    counts = [client.get(f"/v1/galleries/{name}").json()["classes"] for name in (shop, f"{shop} copy")]
    assert counts[0] == counts[1]


def test_an_export_lists_taught_images_whose_files_are_lost(client: TestClient, shop: str, classes: Classes) -> None:
    (one, kept), (other, images) = first(classes, 2).items()
    for name, taught in ((one, kept), (other, images)):
        teach(client, shop, name, taught[:2])
    stored, lost = service_of(client).store.images, sha256_of(images[1])
    stored.delete(lost)
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/galleries/{shop}/export").content))
    stored.put(lost, images[1])  # the other tests of this file use it
    [row] = csv.DictReader(archive.read("missing.csv").decode().splitlines())
    assert (row["class"], row["sha256"]) == (other, lost) and len(archive.namelist()) == 3 + 2


def test_an_import_of_class_folders_says_what_it_left_out(client: TestClient, shop: str, classes: Classes) -> None:
    (_, images), (_, more), *_ = classes.items()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in {
            "a/1.png": images[0],
            "a/2.png": images[0][:200],
            "b/1.png": more[0],
            "b/notes.txt": b"x",
            "c/1.png": images[0],
        }.items():
            archive.writestr(path, content)
    taken = client.post(f"/v1/galleries/{shop}/import", content=buffer.getvalue()).json()
    assert taken["taken"] == 3
    assert {file for one in taken["left_out"] for file in one["files"]} == {"a/2.png", "b/notes.txt"}
    both = [f"1.png, taught as {one!r}, is in class {other!r} too" for one, other in (("a", "c"), ("c", "a"))]
    assert sorted(note for note in taken["notes"] if " too" in note) == both


def test_the_open_inference_protocol_is_spoken(client: TestClient, shop: str, classes: Classes) -> None:
    few = first(classes, 2)
    for name, images in few.items():
        teach(client, shop, name, images[:2])
    assert client.get("/v2").json()["name"] == "kshot" and client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").json() == {"ready": True, "state": "ready", "notes": []}
    assert client.get("/v2/models/kshot").json()["versions"] == ["1"]
    assert client.get("/v2/models/kshot/ready").json()["ready"] is True
    refused(client.get("/v2/models/other"), 404, "unknown_model")
    data = [base64.b64encode(images[0]).decode() for images in few.values()]
    sent = {"id": "7", "parameters": {"gallery": shop}}
    tensor = {"name": "images", "datatype": "BYTES", "shape": [2], "data": data}
    found = client.post("/v2/models/kshot/infer", json={**sent, "inputs": [tensor]}).json()
    assert (found["id"], found["model_version"]) == ("7", "1")
    assert found["outputs"][0] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": list(few)}
    wrong = {**tensor, "shape": [3]}
    refused(client.post("/v2/models/kshot/infer", json={**sent, "inputs": [wrong]}), 422, "bad_request")


def test_an_inference_request_may_name_the_version_and_the_outputs(
    client: TestClient, shop: str, classes: Classes
) -> None:
    (name, images), *_ = classes.items()
    teach(client, shop, name, images[:1])
    data = [base64.b64encode(images[1]).decode()]
    sent = {
        "parameters": {"gallery": shop},
        "inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": data}],
    }
    assert client.get("/v2/models/kshot/versions/1").json()["versions"] == ["1"]
    assert client.get("/v2/models/kshot/versions/1/ready").json()["ready"] is True
    answer = client.post("/v2/models/kshot/versions/1/infer", json={**sent, "outputs": [{"name": "label"}]}).json()
    assert answer["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [1], "data": [name]}]
    refused(client.post("/v2/models/kshot/versions/2/infer", json=sent), 404, "unknown_version")
    unknown = {**sent, "outputs": [{"name": "label"}, {"name": "logits"}]}
    assert "'logits'" in refused(client.post("/v2/models/kshot/infer", json=unknown), 422, "bad_request")


def test_binary_tensors_are_refused_with_the_form_that_is_read(client: TestClient) -> None:
    headers = {"Inference-Header-Content-Length": "2", "Content-Type": "application/octet-stream"}
    answer = client.post("/v2/models/kshot/infer", content=b"{}\x00\x01", headers=headers)
    assert "binary_data=False" in refused(answer, 415, "binary_tensors")


def test_the_service_describes_itself_and_counts(client: TestClient, shop: str, classes: Classes) -> None:
    (name, images), *_ = classes.items()
    teach(client, shop, name, images[:1])
    ask(client, shop, images[:1])
    described = client.get("/v1/service").json()
    assert described["model"] == {"name": "kshot", "version": "1", "alias": "champion"}
    assert (described["state"], described["classifier"], described["limits"]["images"]) == ("ready", "prototype", 64)
    text = client.get("/metrics").text
    assert 'kshot_model_info{alias="champion",name="kshot",version="1"} 1.0' in text and "kshot_ready 1.0" in text
    assert 'route="/v1/galleries/{gallery}/recognise",status="200"' in text
    assert 'kshot_recognised_images_total{result="known"}' in text and "kshot_request_seconds_bucket" in text


def test_pages_and_documents_load_nothing_from_elsewhere(client: TestClient) -> None:
    assert client.get("/").headers["content-type"].startswith("text/html")
    docs = client.get("/docs")
    assert "/v1/galleries/{gallery}/recognise" in docs.text
    assert "<script" not in docs.text and "//" not in docs.text.replace("</", "<")
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/v1/galleries/{gallery}/recognise"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert all(about.get("description") or about["summary"] for methods in paths.values() for about in methods.values())


def test_the_document_says_what_every_error_looks_like_and_names_each_function_once(client: TestClient) -> None:
    """Generated clients read errors by it, and their functions have the operations' names."""
    document = client.get("/openapi.json").json()
    by_path = [(path, about) for path, methods in document["paths"].items() for about in methods.values()]
    operations = [about for _, about in by_path]
    for path, about in by_path:
        name = "InferenceErrorResponse" if path.startswith("/v2") else "ErrorResponse"
        schema = about["responses"]["default"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}
        assert "422" not in about["responses"]  # FastAPI's own form, which nothing here has
    names = [about["operationId"] for about in operations]
    assert len(set(names)) == len(names) and {"recognise", "create_gallery"} <= set(names)
    assert document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["required"]
    assert document["components"]["schemas"]["NewGallery"]["properties"]["name"]["minLength"] == 1
    recognise = document["paths"]["/v1/galleries/{gallery}/recognise"]["post"]["requestBody"]["content"]
    assert recognise["application/json"]["schema"]["properties"]["images"]["items"]["format"] == "byte"


def test_head_gets_what_get_does(client: TestClient) -> None:
    for path, status in (("/", 200), ("/v2/health/ready", 200), ("/v1/galleries/nowhere", 404)):
        assert client.head(path).status_code == client.get(path).status_code == status
    assert client.head("/v1/galleries/shop/recognise").status_code == 405


def test_a_method_that_an_address_does_not_have_is_refused_as_such(client: TestClient) -> None:
    refused(client.delete("/v1/feedback/labels"), 405, "method_not_allowed")
    answer = client.options("/v1/galleries/shop")
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "DELETE, GET, PATCH"


def test_a_stopped_service_has_closed_its_store(project: Path) -> None:
    with running(project) as client:
        service = service_of(client)
        assert client.get("/v2/health/live").status_code == 200
    assert service.pool._shutdown and not service.queue._thread.is_alive()
