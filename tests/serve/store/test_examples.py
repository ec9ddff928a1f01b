import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from kshot.serve.messages.refusals import Refused
from kshot.serve.store import classes, examples, galleries
from kshot.serve.store.embeddings import Points, load, remember, stored
from kshot.serve.store.examples import NewImage, TaughtRows
from kshot.serve.store.gallery_store import GalleryStore
from kshot.serve.store.image_files import sha256_of


def image(class_name: str, content: bytes = b"apple") -> NewImage:
    return NewImage(class_name, content, sha256_of(content), 28, 28, "image/png", "one.png")


def teach(store: GalleryStore, *images: NewImage, gallery: str = "shop") -> TaughtRows:
    return examples.teach(store, gallery, images)


def counts(store: GalleryStore, gallery: str = "shop") -> tuple[int, list[tuple[str, int]]]:
    with store.database.reading() as connection:
        found = galleries.find(connection, gallery)
        return found.revision, galleries.class_counts(connection, found.id)


def files(store: GalleryStore) -> Sequence[str]:
    return list(store.images.all())


@pytest.fixture(autouse=True)
def shop(store: GalleryStore) -> None:
    galleries.create(store, "shop")


def test_images_are_added_in_one_change_and_stored_once_each(store: GalleryStore) -> None:
    taught = teach(store, image("a"), image("b"), image("b", b"pear"))
    assert (taught.revision, [row.class_name for row in taught.added]) == (2, ["a", "b", "b"])
    assert taught.several == {sha256_of(b"apple"): ["a", "b"]}
    assert counts(store) == (2, [("a", 1), ("b", 2)])
    assert sorted(files(store)) == sorted([sha256_of(b"apple"), sha256_of(b"pear")])


def test_an_image_that_its_class_holds_already_is_not_added_again(store: GalleryStore) -> None:
    first = teach(store, image("a")).added
    again = teach(store, image("a"), image("a"))
    assert (again.added, again.already, again.revision) == ([], [*first, *first], 2)


def test_nothing_is_added_to_an_unknown_gallery(store: GalleryStore) -> None:
    with pytest.raises(Refused, match="there is no gallery 'nowhere'"):
        teach(store, image("a"), gallery="nowhere")
    assert counts(store) == (1, [])


def test_a_deleted_image_leaves_no_file_no_row_and_no_byte_in_the_database(on_sqlite: GalleryStore) -> None:
    points = Points("m" * 64, {sha256_of(b"apple"): np.full(64, 1234.5, np.float32)})
    taught = examples.teach(
        on_sqlite,
        "shop",
        [NewImage("secret class", b"apple", sha256_of(b"apple"), 1, 1, "image/png", "one.png")],
        points,
    )
    assert examples.delete_example(on_sqlite, "shop", taught.added[0].id) == 3
    assert counts(on_sqlite) == (3, []) and files(on_sqlite) == []
    with closing(sqlite3.connect(on_sqlite.folder / "galleries.db")) as database:
        assert database.execute("select count(*) from images").fetchone() == (0,)
        assert database.execute("select count(*) from embeddings").fetchone() == (0,)
    content = b"".join(path.read_bytes() for path in on_sqlite.folder.glob("galleries.db*"))
    assert b"shop" in content and b"secret class" not in content
    assert np.full(8, 1234.5, np.float32).tobytes() not in content


def test_an_image_of_two_examples_stays_until_the_last_is_deleted(store: GalleryStore) -> None:
    galleries.create(store, "other")
    first, second = teach(store, image("a")).added, teach(store, image("a"), gallery="other").added
    examples.delete_example(store, "shop", first[0].id)
    assert files(store) == [sha256_of(b"apple")]
    with pytest.raises(Refused, match="has no example"):
        examples.delete_example(store, "shop", second[0].id)
    galleries.delete_gallery(store, "other")
    assert files(store) == []


def test_the_id_of_a_deleted_example_is_not_used_again(store: GalleryStore) -> None:
    first = teach(store, image("a")).added[0].id
    examples.delete_example(store, "shop", first)
    assert teach(store, image("a")).added[0].id > first


def test_examples_are_listed_by_page_and_by_class(store: GalleryStore) -> None:
    taught = teach(store, image("a"), image("b"), image("a", b"pear")).added
    with store.database.reading() as connection:
        number = galleries.find(connection, "shop").id
        first = examples.page(connection, number, limit=2)
        assert (first, examples.page(connection, number, after=first[-1].id)) == (taught[:2], taught[2:])
        assert examples.page(connection, number, class_name="a") == [taught[0], taught[2]]
        assert examples.one(connection, number, "shop", taught[1].id) == taught[1]


def test_threads_that_teach_and_delete_the_same_image_never_lose_its_file(store: GalleryStore) -> None:
    def work(number: int) -> None:
        name = f"class {number}"
        for _ in range(5):
            (row,) = teach(store, image(name)).added
            assert store.images.read(row.sha256) == b"apple"
            examples.delete_example(store, "shop", row.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert counts(store) == (41, []) and files(store) == []


def test_a_class_is_renamed_and_joins_another_only_if_asked(store: GalleryStore) -> None:
    teach(store, image("a"), image("a", b"pear"), image("b"))
    assert classes.rename(store, "shop", "a", "a") == 2
    with pytest.raises(Refused, match="has a class 'b'; send merge: true"):
        classes.rename(store, "shop", "a", "b")
    assert classes.rename(store, "shop", "a", "b", merge=True) == 3
    assert counts(store) == (3, [("b", 2)])
    with pytest.raises(Refused, match="has no class 'a'"):
        classes.rename(store, "shop", "a", "c")


def test_a_class_is_deleted_with_its_images(store: GalleryStore) -> None:
    teach(store, image("a"), image("b", b"pear"))
    assert classes.delete_class(store, "shop", "a") == 3
    assert counts(store) == (3, [("b", 1)]) and files(store) == [sha256_of(b"pear")]
    with pytest.raises(Refused, match="has no class 'a'"):
        classes.delete_class(store, "shop", "a")


def test_embeddings_are_cached_by_image_and_model(store: GalleryStore) -> None:
    digest, point = sha256_of(b"apple"), np.arange(3, dtype=np.float32)
    teach(store, image("a"))
    with store.database.writing() as connection:
        for _ in range(2):  # writing again is no error
            remember(connection, Points("m" * 64, {digest: point}), [digest])
    with store.database.reading() as connection:
        found = load(connection, "m" * 64, [digest, "0" * 64])
        assert list(found) == [digest] and np.array_equal(found[digest], point)
        assert load(connection, "n" * 64, [digest]) == {}
        assert stored(connection, [digest, "0" * 64]) == {digest}
