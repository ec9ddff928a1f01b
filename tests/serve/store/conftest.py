"""A gallery store: SQLite with a folder, and PostgreSQL with an fsspec address where servers are tested."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot.serve.store import tables
from kshot.serve.store.gallery_store import GalleryStore, open_store
from tests.services.postgres import binaries, postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a database of a server of its own."""
    if binaries() is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian: apt-get install postgresql)")
    with postgres(("galleries",)) as address:
        yield f"postgresql://{address}galleries"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStore]:
    if request.param == "sqlite":
        opened = open_store(tmp_path)
    else:
        opened = open_store(tmp_path, request.getfixturevalue("postgresql"), f"memory://galleries{tmp_path}")
    yield opened
    if request.param == "postgresql":
        tables.METADATA.drop_all(opened.database.engine)
    opened.close()


@pytest.fixture
def on_sqlite(store: GalleryStore) -> GalleryStore:
    """The store, for a test that looks into the database's file."""
    if not store.database.is_sqlite:
        pytest.skip("looks into the file of SQLite")
    return store
