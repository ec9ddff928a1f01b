"""Requests that the event loop answers itself: which ones, and that their answers are those of the general way."""

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kshot.serve.actions import prompt_recognition
from kshot.serve.engine.decoding import prepare_image
from tests.serve import served_project
from tests.serve.running import ask, refused, running, service_of, teach

Classes = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def client(template: Path, tmp_path_factory: pytest.TempPathFactory, classes: Classes) -> Iterator[TestClient]:
    """A service of a small network, with a gallery of four classes."""
    root = served_project.copy(template, tmp_path_factory.mktemp("prompt") / "project")
    with running(root) as client:
        service = service_of(client)
        object.__setattr__(service.snapshot.version, "quick", True)  # the measurement depends on the machine
        client.post("/v1/galleries", json={"name": "shop"})
        for name, images in list(classes.items())[:4]:
            teach(client, "shop", name, images[:2])
        yield client


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads that prepare asked images in the event loop's way."""
    found: set[str] = set()

    def watched(*given: Any) -> Any:
        found.add(threading.current_thread().name)
        return prepare_image(*given)

    monkeypatch.setattr(prompt_recognition, "prepare_image", watched)
    return found


def test_the_event_loop_answers_as_another_thread_does(client: TestClient, threads: set[str], classes: Classes) -> None:
    asked = [images[4] for images in list(classes.values())[:4]]
    found = ask(client, "shop", asked, next=2).json()
    assert len(threads) == 1
    threads.clear()
    version = service_of(client).snapshot.version
    object.__setattr__(version, "quick", False)
    try:
        other = ask(client, "shop", asked, next=2).json()
    finally:
        object.__setattr__(version, "quick", True)
    assert not threads
    for one, same in zip(found.pop("results"), other.pop("results"), strict=True):
        assert (one["label"], one["unknown"]) == (same["label"], same["unknown"])
        assert [near["example"] for near in one["nearest"]] == [near["example"] for near in same["nearest"]]
        assert one["probability"] == pytest.approx(same["probability"], abs=1e-6)
        assert one["distance"] == pytest.approx(same["distance"], rel=1e-5)
    del found["request"], other["request"]
    assert found == other


def test_large_images_and_many_are_left_to_other_threads(
    client: TestClient, threads: set[str], classes: Classes
) -> None:
    (first, *_), *_ = classes.values()
    assert len(ask(client, "shop", [first] * 5).json()["results"]) == 5
    assert not threads
    file = BytesIO()
    Image.new("L", (257, 256), 200).save(file, "PNG")  # few bytes, many pixels
    assert ask(client, "shop", [file.getvalue()]).status_code == 200
    large = first + bytes(prompt_recognition.MOST_BYTES)
    threads.clear()
    assert ask(client, "shop", [large]).status_code == 200
    assert not threads


def test_a_gallery_that_changed_is_embedded_by_other_threads(
    client: TestClient, threads: set[str], classes: Classes
) -> None:
    name, images = list(classes.items())[5]
    teach(client, "shop", name, images[:1])
    states = service_of(client).snapshot.states
    states._states.clear()
    assert ask(client, "shop", [images[0]]).json()["results"][0]["label"] == name
    assert not threads and states.in_memory("shop") is not None
    ask(client, "shop", [images[0]])
    assert threads


def test_what_is_wrong_is_refused_as_by_the_general_way(client: TestClient, classes: Classes) -> None:
    (image, *_), *_ = classes.values()
    assert "is no image" in refused(ask(client, "shop", [b"text"]), 415, "not_an_image")
    refused(ask(client, "shop", [image[:200]]), 422, "damaged_image")
    refused(ask(client, "nowhere", [image]), 404, "unknown_gallery")
    client.post("/v1/galleries", json={"name": "empty"})
    refused(ask(client, "empty", [image]), 409, "empty_gallery")
