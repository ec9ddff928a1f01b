"""Images at an address: nothing that is not the store's is deleted there."""

from pathlib import Path

import pytest

from kshot.errors import KshotError
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import NewImage
from kshot.serve.store.gallery_store import open_store, sweep
from kshot.serve.store.image_files import OWNER, sha256_of


def taught(root: Path, address: str) -> None:
    """A store at `root` with one image at the address."""
    root.mkdir()
    store = open_store(root, None, address)
    galleries.create(store, "shop")
    examples.teach(store, "shop", [NewImage("a", b"apple", sha256_of(b"apple"), 1, 1, "image/png")])
    store.close()


def test_a_start_leaves_other_files_at_the_address_alone(tmp_path: Path) -> None:
    place = tmp_path / "bucket"
    (place / "sub").mkdir(parents=True)
    (place / "notes.txt").write_text("mine")
    taught(tmp_path / "one", place.as_uri())
    (place / sha256_of(b"left by a killed process")).write_bytes(b"x")
    store = open_store(tmp_path / "one", None, place.as_uri())
    assert sweep(store) == 1
    store.close()
    assert {path.name for path in place.iterdir()} == {"sub", "notes.txt", OWNER, sha256_of(b"apple")}


def test_images_of_another_database_are_refused_and_stay(tmp_path: Path) -> None:
    place = tmp_path / "bucket"
    taught(tmp_path / "one", place.as_uri())
    (tmp_path / "two").mkdir()
    for _ in range(2):
        with pytest.raises(KshotError, match="belong to another gallery store"):
            open_store(tmp_path / "two", None, place.as_uri())
    assert (place / sha256_of(b"apple")).exists()
    open_store(tmp_path / "one", None, place.as_uri()).close()


def test_images_from_before_addresses_were_claimed_are_their_own_database_s(tmp_path: Path) -> None:
    place = tmp_path / "bucket"
    taught(tmp_path / "one", place.as_uri())
    (place / OWNER).unlink()
    (tmp_path / "two").mkdir()
    with pytest.raises(KshotError, match="belong to another gallery store"):
        open_store(tmp_path / "two", None, place.as_uri())
    open_store(tmp_path / "one", None, place.as_uri()).close()
    assert (place / OWNER).exists()
