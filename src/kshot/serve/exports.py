"""Exports a gallery as a zip: images/CLASS/FILE and manifest.csv, which `kshot data add` and an import read."""

import csv
import io
import zipfile
from pathlib import Path, PurePosixPath

from PIL import Image

from kshot.lifecycle.sources import manifests
from kshot.lifecycle.sources.source_image import group_of
from kshot.serve.refusals import Refused
from kshot.serve.service import GalleryService
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import ExampleRow

COLUMNS = (*manifests.COLUMNS, "sha256", "name", "taught", "request")
PAGE = 1000


def export(service: GalleryService, gallery: str, file: Path) -> int:
    """Write a gallery to `file`; returns its revision. An image that is deleted meanwhile is in neither part of it.

    Raises Refused for an unknown gallery, and for a database that cannot be reached.
    """
    rows: list[ExampleRow] = []
    with service.store.database.reading() as connection:
        found = galleries.find(connection, gallery)
        while page := examples.page(connection, found.id, after=rows[-1].id if rows else 0, limit=PAGE):
            rows += page
    table = io.StringIO()
    lines = csv.writer(table)
    lines.writerow(COLUMNS)
    # Images are compressed already.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            try:
                content = service.store.images.read(row.sha256)
            except FileNotFoundError:
                continue
            except OSError as error:
                reason = f"image {row.sha256} cannot be read ({error.strerror or error}); try again"
                raise Refused(503, "images_unreachable", reason) from error
            path = f"images/{row.class_name}/{row.id}{_suffix(row)}"
            archive.writestr(path, content)
            about = [path, row.class_name, group_of(row.class_name), ""]  # no split
            lines.writerow([*about, row.sha256, row.name, row.taught, row.request or ""])
        archive.writestr("manifest.csv", table.getvalue())
    return found.revision


def _suffix(row: ExampleRow) -> str:
    """The file's own suffix if it is one of an image, else that of its kind."""
    suffix = PurePosixPath(row.name).suffix.lower()
    if suffix in Image.registered_extensions():
        return suffix
    kinds = {Image.MIME.get(kind): ending for ending, kind in Image.registered_extensions().items()}
    return kinds.get(row.media_type, "")
