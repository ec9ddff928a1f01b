from dataclasses import replace

import pytest

from kshot.serve.messages.refusals import Refused
from kshot.serve.store import galleries
from kshot.serve.store.database import open_database
from kshot.serve.store.galleries import NewThreshold
from kshot.serve.store.gallery_store import GalleryStore


def names(store: GalleryStore) -> list[str]:
    with store.database.reading() as connection:
        return [row.name for row in galleries.listed(connection)]


def test_a_gallery_is_created_once_and_listed(store: GalleryStore) -> None:
    galleries.create(store, "shop")
    assert galleries.create(store, "fruit").revision == 1
    assert names(store) == ["fruit", "shop"]
    with pytest.raises(Refused, match="there is a gallery 'shop' already") as raised:
        galleries.create(store, "shop")
    assert raised.value.status == 409


def test_a_rename_and_a_threshold_raise_the_revision_each_once(store: GalleryStore) -> None:
    made = galleries.create(store, "shop")
    changed = galleries.change(store, "shop", new_name="store", threshold=NewThreshold(1.5))
    assert changed == galleries.GalleryRow(made.id, "store", 2, 1.5, made.created)
    assert galleries.change(store, "store", new_name="store").revision == 2
    assert galleries.change(store, "store", threshold=NewThreshold(None)).unknown_threshold is None


def test_the_newest_row_is_seen_after_each_change_also_of_another_process(store: GalleryStore) -> None:
    made = galleries.create(store, "it's")
    assert galleries.newest(store.database, "it's") == made
    other = replace(store, database=open_database(store.database.engine.url.render_as_string(hide_password=False)))
    changed = galleries.change(other, "it's", threshold=NewThreshold(1.5))
    assert galleries.newest(store.database, "it's") == changed and changed.revision == 2
    galleries.delete_gallery(other, "it's")
    with pytest.raises(Refused, match="there is no gallery") as raised:
        galleries.newest(store.database, "it's")
    assert raised.value.status == 404
    other.close()


def test_a_database_that_is_broken_is_refused_in_one_line(on_sqlite: GalleryStore) -> None:
    galleries.create(on_sqlite, "shop")
    with on_sqlite.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE galleries RENAME TO gone")
    for _ in range(2):
        with pytest.raises(Refused, match="no such table") as raised:
            galleries.newest(on_sqlite.database, "shop")
        assert raised.value.code == "store_unreachable"


def test_a_gallery_is_not_renamed_to_another_one(store: GalleryStore) -> None:
    galleries.create(store, "a")
    galleries.create(store, "b")
    with pytest.raises(Refused, match="there is a gallery 'b' already"):
        galleries.change(store, "a", new_name="b")
    assert names(store) == ["a", "b"]


def test_an_unknown_gallery_is_refused(store: GalleryStore) -> None:
    with pytest.raises(Refused, match="there is no gallery 'shop'") as raised:
        galleries.delete_gallery(store, "shop")
    assert raised.value.status == 404
