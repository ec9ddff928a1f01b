"""The page of `kshot data show A B`: images added, removed, changed and moved between two versions, in thumbnails."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from kshot.lifecycle.data import cached_images, data_versions
from kshot.lifecycle.data.cached_images import CachedImage
from kshot.lifecycle.data.data_diff import DataDiff
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data_pages.shown_images import LARGE_SIDE, address
from kshot.lifecycle.data_pages.tables import write_table
from kshot.lifecycle.data_pages.version_page import PAGE, is_folder
from kshot.lifecycle.pages.render import pages, write_page

SHOWN = 120  # images of a section; the table has all
TABLE = "changes.csv"
CHANGES = ("change", "path", "class", "before", "class_before")

Images = dict[str, CachedImage]


def write_difference_page(root: Path, old: DataVersion, new: DataVersion, out: Path) -> list[Path]:
    """Write the page to the file `out`, or with a table of every change into the folder `out`; return what was written.

    Only the files of images that are shown are read. Raises DataError if they are neither in DVC's cache nor in a
    remote.
    """
    found = data_versions.diff(root, old, new)
    before = {image.path: image for image in cached_images.images(root, old.md5)}
    after = {image.path: image for image in cached_images.images(root, new.md5)}
    changes = list(_changes(found, before, after))
    folder = is_folder(out)
    page = (
        pages()
        .get_template("data_difference.html.j2")
        .render(
            old=old,
            new=new,
            found=found,
            sections=_sections(root, old, new, changes, before, after),
            table=TABLE if folder else None,
        )
    )
    if not folder:
        return [write_page(page, out)]
    rows = ((kind, path, _class(after, path), earlier, _class(before, earlier)) for kind, earlier, path in changes)
    return [write_page(page, out / PAGE), write_table(out / TABLE, CHANGES, rows)]


def _changes(found: DataDiff, before: Images, after: Images) -> Iterator[tuple[str, str, str]]:
    """Kind, path before and path after of every change; '' for a missing path."""
    for earlier, path in found.images_moved:
        same = before[earlier].label == after[path].label
        yield "renamed" if same else "moved to another class", earlier, path
    for path in found.images_added:
        yield "added", "", path
    for path in found.images_removed:
        yield "removed", path, ""
    for path in found.images_changed:
        yield "changed", path, path


def _class(images: Images, path: str) -> str:
    return images[path].label if path in images else ""


def _sections(
    root: Path, old: DataVersion, new: DataVersion, changes: list[tuple[str, str, str]], before: Images, after: Images
) -> list[dict[str, Any]]:
    sections = []
    for kind in ("moved to another class", "added", "removed", "changed", "renamed"):
        own = [(earlier, path) for what, earlier, path in changes if what == kind]
        shown = own[:SHOWN]
        sections.append(
            {
                "kind": kind,
                "count": len(own),
                "pairs": [
                    {"before": earlier, "after": path}
                    for earlier, path in zip(
                        _images(root, old, before, [earlier for earlier, _ in shown]),
                        _images(root, new, after, [path for _, path in shown]),
                        strict=True,
                    )
                ],
            }
        )
    return [section for section in sections if section["count"]]


def _images(root: Path, version: DataVersion, images: Images, paths: list[str]) -> list[dict[str, str] | None]:
    """Each image's class, file name and thumbnail; None for the path ''."""
    given = [images[path] for path in paths if path]
    files = iter(cached_images.files(root, version.md5, [image.md5 for image in given]) if given else [])
    return [
        {"class": images[path].label, "file": PurePosixPath(path).name, "address": address(next(files), LARGE_SIDE)}
        if path
        else None
        for path in paths
    ]
