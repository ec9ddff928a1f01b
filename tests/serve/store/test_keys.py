import pytest

from kshot.errors import KshotError
from kshot.serve.store import keys
from kshot.serve.store.gallery_store import GalleryStore


def test_a_key_is_found_by_its_text_until_it_is_revoked(store: GalleryStore) -> None:
    text = keys.add(store, "line 1", "teach")
    found = keys.find(store.database, text)
    assert found is not None and (found.name, found.scope) == ("line 1", "teach")
    assert keys.find(store.database, text + "x") is None and keys.find(store.database, "\udce4") is None
    keys.revoke(store, "line 1")
    assert keys.find(store.database, text) is None
    with store.database.reading() as connection:
        assert [(key.name, bool(key.revoked)) for key in keys.listed(connection)] == [("line 1", True)]
    with pytest.raises(KshotError, match="no valid key 'line 1'; the valid keys are: none"):
        keys.revoke(store, "line 1")


def test_the_store_has_the_hash_of_a_key_alone(on_sqlite: GalleryStore) -> None:
    text = keys.add(on_sqlite, "line 1", "ask")
    content = b"".join(path.read_bytes() for path in on_sqlite.folder.glob("galleries.db*"))
    assert b"line 1" in content and text.encode() not in content


def test_a_name_is_used_once_and_a_scope_is_known(store: GalleryStore) -> None:
    keys.add(store, "line 1", "ask")
    with pytest.raises(KshotError, match="there is or was a key 'line 1'"):
        keys.add(store, "line 1", "ask")
    with pytest.raises(KshotError, match="no scope 'root'; needs one of ask, teach, admin"):
        keys.add(store, "line 2", "root")
