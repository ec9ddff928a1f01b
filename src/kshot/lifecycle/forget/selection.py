"""Finds the images that a person asks to forget: by file, path, content hash, class or source."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kshot.data.images import content_hash, decode
from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, erasures
from kshot.lifecycle.data.packed import is_packed
from kshot.lifecycle.forget import derived
from kshot.lifecycle.forget.derived import RAW_ROWS, ROWS, versions_with
from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage
from kshot.lifecycle.forget.object_stores import FOLDER, Stores
from kshot.lifecycle.project import layout
from kshot.lifecycle.sources.source_image import normal

IMAGES = "images/"
MD5, SHA256 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ForgetRequest:
    """A request to forget: images (files, paths below data/raw, hashes), or a class, or a source; and why."""

    images: tuple[str, ...]
    label: str
    source: str
    reason: str
    by: str


def raw_folders(stores: Stores) -> dict[str, dict[str, str]]:
    """Every data version that a store lists, with .dir, to its image files: relative path to md5."""
    found: dict[str, dict[str, str]] = {}
    for store in stores.known:
        for oid, files in store.folders.items():
            if RAW_ROWS in files:
                found[oid] = {path: md5 for path, md5 in files.items() if path != RAW_ROWS}
    return found


def select(root: Path, request: ForgetRequest, stores: Stores, here: Path) -> Forgotten:
    """The images that `request` names; relative file names are looked up in `here`.

    Images in other files whose decoded pixels are the same are among them. Raises DataError for a name that is no
    image here.
    """
    raw = raw_folders(stores)
    contents: dict[str, bytes] = {}
    if request.label:
        md5s = _of_class(raw, normal(request.label))
    elif request.source:
        md5s = _of_source(root, raw, request.source)
    else:
        md5s = {md5 for name in request.images for md5 in _named(root, name, raw, stores, here, contents)}
    images = {md5: _image(md5, contents.get(md5) or stores.read(md5)) for md5 in md5s}
    for md5 in _same_pixels(raw, stores, {pixels for one in images.values() for pixels in one.pixels}) - images.keys():
        images[md5] = _image(md5, stores.read(md5))
    return selected(tuple(images[md5] for md5 in sorted(images)), stores)


def selected(images: tuple[ForgottenImage, ...], stores: Stores) -> Forgotten:
    """These images with their paths and versions as the stores list them now."""
    raw, md5s = raw_folders(stores), {image.md5 for image in images}
    paths = {path for files in raw.values() for path, md5 in files.items() if md5 in md5s}
    return Forgotten(images, frozenset(paths), frozenset(versions_with(_whole(raw), md5s)))


def _whole(raw: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {oid: {**files, RAW_ROWS: ""} for oid, files in raw.items()}


def _of_class(raw: Mapping[str, Mapping[str, str]], label: str) -> set[str]:
    found, known = set(), set()
    for files in raw.values():
        for path, md5 in files.items():
            name = path.removeprefix(IMAGES).rpartition("/")[0]
            known.add(name)
            if name == label:
                found.add(md5)
    if not found:
        shown = ", ".join(sorted(known)[:8]) or "none"
        raise DataError(f"no data version here has a class {label!r}; the classes are: {shown}")
    return found


def _of_source(root: Path, raw: Mapping[str, Mapping[str, str]], source: str) -> set[str]:
    """The images whose first data version came from `source`."""
    versions = data_versions.versions(root)
    first: dict[str, str] = {}
    for version in versions:
        for md5 in raw.get(f"{version.md5}{FOLDER}", {}).values():
            first.setdefault(md5, version.source)
    found = {md5 for md5, name in first.items() if name == source}
    if not found:
        known = ", ".join(sorted({version.source for version in versions})) or "none"
        raise DataError(f"no image of a data version here came from {source!r}; the sources are: {known}")
    return found


def _named(
    root: Path,
    name: str,
    raw: Mapping[str, Mapping[str, str]],
    stores: Stores,
    here: Path,
    contents: dict[str, bytes],
) -> set[str]:
    """The md5s that one argument names; the content of a file that it names goes to `contents`."""
    known = {md5 for files in raw.values() for path, md5 in files.items() if path.startswith(IMAGES)}
    file = here / name
    if file.is_file():
        content = file.read_bytes()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if md5 not in known and not _image(md5, content).pixels:
            raise DataError(f"{name} is no image, and no data version here has it; needs an image, a class or a source")
        contents[md5] = content
        return {md5}
    if MD5.fullmatch(name):
        other = stores.read(name) if name not in known else None
        if other is not None and not _image(name, other).pixels:
            raise DataError(f"{name} is the md5 of no image of a data version here; needs one that is, or a file")
        return {name}
    if SHA256.fullmatch(name):
        found = {md5 for md5 in known if hashlib.sha256(stores.read(md5) or b"").hexdigest() == name}
    else:
        path = name.removeprefix(f"{layout.RAW.as_posix()}/")
        found = {files[path] for files in raw.values() if path in files} & known
    if not found:
        raise DataError(
            f"{name} is no image file, and no data version here has it; needs a file, its path below {layout.RAW}, or "
            "its md5 or sha256"
        )
    return found


def _image(md5: str, content: bytes | None) -> ForgottenImage:
    if content is None:
        return ForgottenImage(md5, "", 0, ())
    pixels = []
    for channels in (1, 3):
        try:
            pixels.append(content_hash(decode(content, channels)))
        except (DataError, OSError):
            break
    return ForgottenImage(md5, hashlib.sha256(content).hexdigest(), len(content), tuple(pixels))


def _same_pixels(raw: Mapping[str, Mapping[str, str]], stores: Stores, pixels: set[str]) -> set[str]:
    """The md5s of image files that decode to these pixels, among the packed data versions."""
    paths: set[str] = set()
    for store in stores.known:
        for files in store.folders.values():
            rows = stores.read(files[ROWS]) if ROWS in files and is_packed(files) else None
            if rows is not None:
                paths |= derived.paths_of(rows, pixels)
    candidates = {files[path] for files in raw.values() for path in paths if path in files}
    return {md5 for md5 in candidates if set(_image(md5, stores.read(md5)).pixels) & pixels}


def require_known(
    root: Path, request: ForgetRequest, wanted: Forgotten, is_held: bool, unreached: Iterable[str]
) -> None:
    """Raise DataError if no reachable place has the images. `unreached`: why others did not answer."""
    if is_held:
        return
    done = erasures.of_images(root, wanted.md5s)
    what = f"they were {done[-1]}" if done else "no data version, page, model or gallery here has them"
    named = ", ".join(request.images) or request.label or request.source
    raise DataError("; ".join([f"nothing here holds {named}: {what}", *unreached]))
