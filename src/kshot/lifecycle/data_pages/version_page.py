"""The page of `kshot data show VERSION`: classes in thumbnails, near-duplicates, and labels that are likely wrong."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kshot.evaluation.near_images import Duplicate, WrongLabel, near_duplicates, nearest_images, wrong_labels
from kshot.lifecycle.data import data_names
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data_pages.measured import Measured, measure
from kshot.lifecycle.data_pages.shown_images import address, shown_per_class, side_for
from kshot.lifecycle.data_pages.tables import write_images
from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.project import progress

FEWEST = 2  # images that can be compared
DUPLICATES, WRONG = 40, 36  # shown on the page; the table has all
UNREADABLE = 50
PAGE, TABLE = "index.html", "images.csv"


def write_version_page(root: Path, version: DataVersion, out: Path) -> list[Path]:
    """Write the page to the file `out`, or with a table of every image into the folder `out`; return what was written.

    Raises DataError if the version's files are neither in DVC's cache nor in a remote.
    """
    found = measure(root, version)
    near = nearest_images(found.points) if len(found.images) >= FEWEST else None
    names = sorted({image.label for image in found.images})
    label_of = {name: label for label, name in enumerate(names)}
    labels = np.array([label_of[image.label] for image in found.images], dtype=np.int64)
    duplicates = near_duplicates(near) if near is not None else []
    wrong = wrong_labels(found.points, labels, near) if near is not None and found.embedded else []
    progress.step("drawing the page")
    content = _content(root, version, found, names, duplicates, wrong)
    agreeing = float((labels[near.ids[:, 0]] == labels).mean()) if near is not None else None
    folder = is_folder(out)
    page = (
        pages()
        .get_template("data.html.j2")
        .render(**content, table=TABLE if folder else None, measured=found, agreeing=agreeing)
    )
    if not folder:
        return [write_page(page, out)]
    written = write_page(page, out / PAGE)
    return [written, write_images(out / TABLE, found, near, duplicates, wrong, names)]


def is_folder(out: Path) -> bool:
    """Whether `out` names a folder: one that exists, or a name without an ending such as .html."""
    return out.is_dir() or not out.suffix


def _content(
    root: Path,
    version: DataVersion,
    found: Measured,
    names: Sequence[str],
    duplicates: list[Duplicate],
    wrong: list[WrongLabel],
) -> dict[str, Any]:
    side = side_for(float(np.median(found.sizes.max(1)))) if len(found.sizes) else side_for(0)
    return {
        "version": version,
        "names": data_names.of(root, version.md5),
        "sizes": _sizes(found),
        "classes": _classes(found, names, side),
        "side": side,
        "duplicates": [_pair(found, one, side) for one in _shown_pairs(found, duplicates)[:DUPLICATES]],
        "duplicate_count": len(duplicates),
        "wrong": [_wrong(found, one, names, side) for one in wrong[:WRONG]],
        "wrong_count": len(wrong),
        "unreadable": found.unreadable[:UNREADABLE],
    }


def _sizes(found: Measured) -> dict[str, Any] | None:
    """The smallest, the middle and the largest image by pixels, and the most common size with its count."""
    if not len(found.sizes):
        return None
    order = found.sizes.prod(1).argsort(kind="stable")
    picked = [found.sizes[order[place]] for place in (0, len(order) // 2, -1)]
    (common, count), *others = Counter(map(tuple, found.sizes.tolist())).most_common()
    smallest, middle, largest = (f"{width} x {height}" for width, height in picked)
    text = {"smallest": smallest, "middle": middle, "largest": largest}
    return {**text, "common": f"{common[0]} x {common[1]}", "count": count, "different": 1 + len(others)}


def _classes(found: Measured, names: Sequence[str], side: int) -> dict[str, Any]:
    """The classes that are shown, each with its count, its image sizes and its first images; and how many are not."""
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, image in enumerate(found.images):
        rows[image.label].append(row)
    sample = list(names[:: max(1, len(names) // 50)])
    first = [address(found.files[rows[name][0]], side) for name in sample]
    mean = "x" * (sum(map(len, first)) // max(1, len(first)))
    count, each = shown_per_class([mean] * len(names))
    shown = [
        {
            "name": name,
            "count": len(rows[name]),
            "copies": len(rows[name]) - len({found.images[row].md5 for row in rows[name]}),
            "sizes": _range(found.sizes[rows[name]]),
            "images": [_image(found, row, side) for row in rows[name][:each]],
        }
        for name in names[:count]
    ]
    return {"shown": shown, "all": len(names), "each": each}


def _range(sizes: Any) -> str:
    """ "250 x 250" or "120 x 80 to 400 x 300": width and height of a class's smallest and largest image."""
    order = sizes.prod(1).argsort(kind="stable")
    low, high = (f"{width} x {height}" for width, height in (sizes[order[0]], sizes[order[-1]]))
    return low if low == high else f"{low} to {high}"


def _image(found: Measured, row: int, side: int) -> dict[str, str]:
    image = found.images[row]
    return {"address": address(found.files[row], side), "file": PurePosixPath(image.path).name, "class": image.label}


def _shown_pairs(found: Measured, duplicates: list[Duplicate]) -> list[Duplicate]:
    """Pairs in two classes first: one of the two labels is wrong. Of copies of the same files in the same classes one
    pair, so that an image that was copied 50 times does not fill the page.
    """
    images = found.images
    pairs: dict[tuple[tuple[str, str], ...], Duplicate] = {}
    for one in sorted(duplicates, key=lambda one: images[one.first].label == images[one.second].label):
        ends = sorted((images[row].md5, images[row].label) for row in (one.first, one.second))
        pairs.setdefault(tuple(ends), one)
    return list(pairs.values())


def _pair(found: Measured, one: Duplicate, side: int) -> dict[str, Any]:
    first, second = found.images[one.first], found.images[one.second]
    return {
        "first": _image(found, one.first, side),
        "second": _image(found, one.second, side),
        "same_file": first.md5 == second.md5,
        "two_classes": first.label != second.label,
    }


def _wrong(found: Measured, one: WrongLabel, names: Sequence[str], side: int) -> dict[str, Any]:
    return {
        "image": _image(found, one.image, side),
        "suspected": names[one.suspected],
        "neighbour": _image(found, one.neighbour, side),
    }
