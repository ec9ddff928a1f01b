"""A forgotten image leaves no example, embedding, logged request or file in a project's gallery store."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage, Unreached
from kshot.serve.actions import forgetting
from kshot.serve.actions.forgetting import EXAMPLE, FILE, REQUEST, Galleries
from kshot.serve.request_log import RecognisedRequest, RequestLog
from kshot.serve.settings import ServeSettings
from kshot.serve.store import examples, galleries
from kshot.serve.store.embeddings import Points
from kshot.serve.store.examples import NewImage
from kshot.serve.store.gallery_store import GalleryStore
from kshot.serve.store.image_files import sha256_of
from tests.lifecycle.raw_project import image
from tests.serve.logged import opened, put, result

PLANTED, OTHER = image("planted"), image("other")
POINT = np.random.default_rng(0).random(8).astype("<f4")


@pytest.fixture
def store(tmp_path: Path) -> tuple[GalleryStore, RequestLog]:
    """Galleries birds and fish teach the image; a logged request asked for it, and another image is beside it."""
    store, log = opened(tmp_path)
    galleries.create(store, "fish")
    for gallery in ("birds", "fish"):
        shown = [new(content) for content in (PLANTED, OTHER)]
        examples.teach(store, gallery, shown, Points("m", {sha256_of(PLANTED): POINT}))
    put(log, RecognisedRequest("birds", "1", "3", 7, [result("robin"), result("wren")], [PLANTED, OTHER]))
    return store, log


def new(content: bytes) -> NewImage:
    return NewImage("robin", content, sha256_of(content), 10, 12, "image/png")


def wanted(content: bytes) -> Forgotten:
    return Forgotten((ForgottenImage("m", sha256_of(content), len(content), ()),), frozenset(), frozenset())


def test_a_forgotten_image_is_in_no_gallery_and_no_log(store: tuple[GalleryStore, RequestLog], tmp_path: Path) -> None:
    place = Galleries(tmp_path, ServeSettings())
    found = place.find(wanted(PLANTED))
    assert sorted(one.what for one in found) == sorted([EXAMPLE, EXAMPLE, REQUEST, FILE])
    with store[0].database.reading() as connection:
        before = galleries.find(connection, "birds").revision
    place.delete(found)
    assert place.find(wanted(PLANTED)) == []
    place.delete(found)  # once more, as after a kill
    for path in (tmp_path / ".kshot").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PLANTED not in content and POINT.tobytes() not in content, path
            assert sha256_of(PLANTED).encode() not in content, path
    with store[0].database.reading() as connection:
        gallery = galleries.find(connection, "birds")
        assert gallery.revision == before + 1  # a running service reads it again
        assert [one.sha256 for one in examples.page(connection, gallery.id)] == [sha256_of(OTHER)]
    assert len(place.find(wanted(OTHER))) == 4


def test_a_project_without_galleries_gets_no_store(tmp_path: Path) -> None:
    place = Galleries(tmp_path, ServeSettings())
    assert place.find(wanted(PLANTED)) == []
    assert not (tmp_path / ".kshot").exists()


def test_a_database_that_does_not_answer_is_unreached(tmp_path: Path) -> None:
    settings = dataclasses.replace(ServeSettings(), database="postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(Unreached, match="the galleries cannot be reached"):
        Galleries(tmp_path, settings).find(wanted(PLANTED))


def test_files_of_the_store_are_not_another_places(tmp_path: Path) -> None:
    assert [folder.name for folder in Galleries(tmp_path, ServeSettings()).folders] == ["images", forgetting.FOLDER]
