"""Checks that files are images: the header of every file, and the content of as many as is cheap."""

import itertools
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from kshot.data.image_formats import LARGEST, Header, read_header
from kshot.data.images import WINDOW, decoded
from kshot.errors import DataError
from kshot.lifecycle.sources.annotations import ARRAYS, annotations
from kshot.lifecycle.sources.left_out import ARCHIVE

DECODED = 10**9  # pixels decoded as a check, which takes some ten seconds
FLAT = 16  # of 255: an image whose pixels differ by less shows almost nothing
NO_IMAGE = "no image"
HEIC = "HEIC, which cannot be opened here: convert it to JPEG"
POSTSCRIPT = "PostScript, which is a program and is not run"
STARTS = {
    **dict.fromkeys((b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh"), ARCHIVE),
    **dict.fromkeys((b"%!PS", b"\xc5\xd0\xd3\xc6"), POSTSCRIPT),
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run `git lfs pull` where it came from",
    b"%PDF": "PDF, a document and no image",
    **dict.fromkeys((b"II*\0", b"MM\0*"), "TIFF of a kind that cannot be opened here"),
}
RAW = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2")
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MODES = {"L": "grey", "1": "black and white", "P": "palette", "LA": "grey with transparency", "RGBA": "transparency"}
DEEP = {"F": "floats, each scaled by its own range", "I": "32-bit integers, each scaled by its own range"}
T = TypeVar("T")
R = TypeVar("R")


class Problem(NamedTuple):
    """Why a file cannot be used as an image: a reason shared by many files, and a detail about this one."""

    reason: str
    detail: str = ""


class Decoding(NamedTuple):
    """The result of decoding.

    problems  one per file, None if it decodes or was not tried
    tried     how many files were tried
    flat      the tried files that show almost nothing
    """

    problems: list[Problem | None]
    tried: int
    flat: list[Path]


def check_headers(files: Sequence[Path]) -> list[Header | Problem]:
    """The header of each file, or the problem with it."""

    def look(file: Path) -> Header | Problem:
        try:
            return read_header(file)
        except (DataError, OSError) as error:
            return problem(file, error)

    return list(_mapped(look, files))


def check_decoding(files: Sequence[Path], headers: Sequence[Header], most: int = DECODED) -> Decoding:
    """Decode the files, smallest first, until `most` pixels are decoded."""
    order = sorted(range(len(files)), key=lambda row: (headers[row].pixels, str(files[row])))
    totals = itertools.accumulate(headers[row].pixels for row in order)
    chosen = [row for row, total in zip(order, totals, strict=True) if total <= most]

    def look(row: int) -> Problem | bool:
        try:
            with decoded(files[row], 3) as pixels:
                return int(pixels.max()) - int(pixels.min()) < FLAT
        except (DataError, OSError) as error:
            return problem(files[row], error)

    problems: list[Problem | None] = [None] * len(files)
    flat = []
    for row, found in zip(chosen, _mapped(look, chosen), strict=True):
        if isinstance(found, Problem):
            problems[row] = found
        elif found:
            flat.append(files[row])
    return Decoding(problems, len(chosen), sorted(flat))


def problem(file: Path, error: DataError | OSError) -> Problem:
    """The problem that this error means for a file."""
    if isinstance(error, OSError):
        return Problem("cannot be read", error.strerror or str(error))
    text = str(error)
    if text == "the file is empty":
        return Problem("an empty file")
    if text.startswith("it has "):
        return Problem(f"over {LARGEST:,} pixels", text.partition(";")[0].removeprefix("it has "))
    if text.startswith("it is no image"):
        return Problem(_kind(file))
    return Problem("does not decode", text.removeprefix("it cannot be decoded: "))


def header_notes(headers: Iterable[Header]) -> list[str]:
    """Notes on content that is not read: depth over 8 bits, and frames or pages after the first."""
    headers = list(headers)
    notes = []
    for mode, text in DEEP.items():
        count = sum(one.mode == mode and (mode == "F" or one.format == "TIFF") for one in headers)
        if count:
            notes.append(f"{_images(count)} of {text}")
    deep = sum(one.mode.startswith("I;16") for one in headers)
    if deep:
        notes.append(f"{_images(deep)} of 16 bits, scaled to 8 (as 12 bits where none exceeds 4,095)")
    modes = Counter(one.mode for one in headers if not one.mode.startswith(("F", "I")))
    usual, most = modes.most_common(1)[0] if modes else ("", 0)
    others = {mode: count for mode, count in sorted(modes.items()) if mode != usual}
    if others:
        listed = ", ".join(f"{count:,} {MODES.get(mode, mode)}" for mode, count in others.items())
        notes.append(
            f"{_images(sum(others.values()))} of another mode than the other {most:,} ({MODES.get(usual, usual)}): "
            f"{listed}; all become grey or RGB"
        )
    frames = sum(one.frames for one in headers)
    if frames:
        notes.append(f"{_images(frames)} of several frames or pages, of which the first is taken")
    return notes


def _images(count: int) -> str:
    return f"{count:,} image{'s' if count > 1 else ''}"


def _kind(file: Path) -> str:
    """The kind of a file that is not an image, by its first bytes."""
    with file.open("rb") as content:
        start = content.read(512)
    if file.suffix.lower() in RAW:
        return "a camera's raw file, which cannot be opened here: export it as JPEG"
    if file.suffix.lower() in ARRAYS:  # .npz begins as a .zip does
        return annotations(file)
    for magic, reason in STARTS.items():
        if start.startswith(magic):
            return reason
    if start[257:262] == b"ustar":
        return ARCHIVE
    if start[4:8] == b"ftyp":
        return HEIC if start[8:12] in BRANDS else "a film and no image"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page and no image"
    if b"<svg" in text:
        return "SVG, a drawing and no image"
    return annotations(file) or NO_IMAGE


def _mapped(look: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
    rest = iter(values)
    # Pillow warns about odd files on stderr; kshot reports each of them once itself.
    with _quiet(), ThreadPoolExecutor(max(4, os.cpu_count() or 1)) as pool:
        while window := list(itertools.islice(rest, WINDOW)):
            yield from pool.map(look, window)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
