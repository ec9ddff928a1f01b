"""Nothing of a deleted example is left: in the files of the service, in its database, in its memory."""

import contextlib
import gc
import hashlib
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from kshot.serve.engine.gallery_state import GalleryState
from kshot.serve.store import galleries
from kshot.serve.store.gallery_store import open_store
from tests.serve.running import ask, running, service_of, teach

Classes = dict[str, list[bytes]]


def left(client: TestClient, image: bytes) -> list[str]:
    """Where the image, its hash or its embedding still is: files, and states in memory."""
    service, sha256 = service_of(client), hashlib.sha256(image).hexdigest()
    found = [
        str(path.relative_to(service.store.folder))
        for path in sorted(service.store.folder.rglob("*"))
        if path.is_file() and (image in (content := path.read_bytes()) or sha256.encode() in content)
    ]
    gc.collect()
    # By type, because `isinstance` wakes lazy objects; by name, because an earlier test may hold the image.
    states = [one for one in gc.get_objects() if type(one) is GalleryState and one.gallery.name == "shop"]
    return [*found, *("memory" for one in states if sha256 in one.images)]


def taught(client: TestClient, classes: Classes) -> tuple[int, bytes]:
    """A gallery of two classes of two images; the id and the file of one of them."""
    client.post("/v1/galleries", json={"name": "shop"})
    (one, images), (other, more) = list(classes.items())[:2]
    number = teach(client, "shop", one, images[:2])["examples"][0]["id"]
    teach(client, "shop", other, more[:2])
    return number, images[0]


@pytest.mark.parametrize("what", ["examples/{number}", "classes/{name}", ""])
def test_a_deleted_image_is_nowhere_even_if_it_was_just_asked(what: str, project: Path, classes: Classes) -> None:
    with running(project, log="all", poll_seconds=3600.0) as client:
        number, image = taught(client, classes)
        names = list(classes)
        assert ask(client, "shop", [image, classes[names[0]][1], classes[names[5]][0]]).status_code == 200
        found = left(client, image)
        assert "memory" in found and len(found) > 1, "it would be found"
        place = f"/v1/galleries/shop/{what}".format(number=number, name=names[0]).rstrip("/")
        assert client.delete(place).status_code in (200, 204)
        service_of(client).log.stop()  # writes what waits: the request was asked before
        assert left(client, image) == []
        others = client.get("/v1/feedback").json()["items"]
        assert len(others) == {"examples/{number}": 2, "classes/{name}": 1, "": 0}[what]


def test_what_another_process_deletes_leaves_the_memory_of_this_one(project: Path, classes: Classes) -> None:
    with running(project, poll_seconds=0.05) as client:
        _, image = taught(client, classes)
        assert ask(client, "shop", [image]).status_code == 200 and "memory" in left(client, image)
        with contextlib.closing(open_store(project)) as store:
            galleries.delete_gallery(store, "shop")
        until = time.monotonic() + 60
        while left(client, image):
            assert time.monotonic() < until, left(client, image)
            time.sleep(0.1)


def test_an_image_that_is_also_another_class_stays_in_the_log(project: Path, classes: Classes) -> None:
    with running(project, log="all") as client:
        number, image = taught(client, classes)
        teach(client, "shop", "elsewhere", [image])
        ask(client, "shop", [image])
        assert client.delete(f"/v1/galleries/shop/examples/{number}").status_code == 200
        service_of(client).log.stop()
        assert len(client.get("/v1/feedback").json()["items"]) == 1
