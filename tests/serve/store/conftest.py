"""A gallery store on SQLite in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot.serve.store.gallery_store import GalleryStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GalleryStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()
