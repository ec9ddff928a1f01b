"""Exports a gallery as a zip: images/CLASS/FILE and manifest.csv, which `kshot data add` and an import read.

Taught images whose files are lost are listed in missing.csv.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from kshot.lifecycle.sources import manifests
from kshot.lifecycle.sources.source_image import group_of
from kshot.serve.messages.gallery_messages import MISSING
from kshot.serve.messages.refusals import Refused
from kshot.serve.service import GalleryService
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import ExampleRow

COLUMNS = (*manifests.COLUMNS, "sha256", "name", "taught", "request")
MISSING_COLUMNS = ("class", "name", "example", "sha256")
PAGE = 1000


def export(service: GalleryService, gallery: str, file: Path) -> int:
    """Write a gallery to `file`; returns its revision. An image that is deleted meanwhile is left out of all its parts.

    Raises Refused for an unknown gallery, and for a database that cannot be reached.
    """
    rows: list[ExampleRow] = []
    with service.store.database.reading() as connection:
        found = galleries.find(connection, gallery)
        while page := examples.page(connection, found.id, after=rows[-1].id if rows else 0, limit=PAGE):
            rows += page
    written: list[Sequence[object]] = [COLUMNS]
    gone: list[ExampleRow] = []
    # Images are compressed already.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            try:
                content = service.store.images.read(row.sha256)
            except FileNotFoundError:
                gone.append(row)
                continue
            except OSError as error:
                reason = f"image {row.sha256} cannot be read ({error.strerror or error}); try again"
                raise Refused(503, "images_unreachable", reason) from error
            path = f"images/{row.class_name}/{row.id}{_suffix(row)}"
            archive.writestr(path, content)
            about = [path, row.class_name, group_of(row.class_name), ""]  # no split
            written.append([*about, row.sha256, row.name, row.taught, row.request or ""])
        archive.writestr("manifest.csv", _csv(written))
        with service.store.database.reading() as connection:
            lost = [row for row in gone if examples.is_taught(connection, found.id, row.id)]
        if lost:
            rest = [(row.class_name, row.name, row.id, row.sha256) for row in lost]
            archive.writestr(MISSING, _csv([MISSING_COLUMNS, *rest]))
    return found.revision


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _suffix(row: ExampleRow) -> str:
    """The file's own suffix if it is one of an image, else that of its kind."""
    suffix = PurePosixPath(row.name).suffix.lower()
    if suffix in Image.registered_extensions():
        return suffix
    kinds = {Image.MIME.get(kind): ending for ending, kind in Image.registered_extensions().items()}
    return kinds.get(row.media_type, "")
