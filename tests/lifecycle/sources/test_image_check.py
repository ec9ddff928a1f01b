"""Whether files are images: by the header of each file, and by the full content of the smaller ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kshot.data.image_formats import Header
from kshot.lifecycle.sources.image_check import check_decoding, check_headers, header_notes
from tests.lifecycle.raw_project import image


def written(folder: Path, **content: bytes) -> list[Path]:
    files = [folder / name for name in content]
    for file, data in zip(files, content.values(), strict=True):
        file.write_bytes(data)
    return files


def headers(files: list[Path]) -> list[Header]:
    found = check_headers(files)
    assert all(isinstance(one, Header) for one in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"a text", "no image"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page and no image"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC, which cannot be opened here: convert it to JPEG"),
        (b"\0\0\0\x18ftypisom" + bytes(20), "a film and no image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript, which is a program and is not run"),
        (b"PK\x03\x04", "an archive inside the source: unpack it first"),
        (b"<?xml version='1.0'?><svg/>", "SVG, a drawing and no image"),
        (image("a")[:20], "does not decode"),
    ],
)
def test_a_file_without_a_header_is_told_for_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    (found,) = check_headers(written(tmp_path, a=content))
    assert found[0] == reason


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    assert check_headers([tmp_path / "nowhere"]) == [("cannot be read", "No such file or directory")]


def test_a_truncated_image_has_a_header_and_does_not_decode(tmp_path: Path) -> None:
    files = written(tmp_path, whole=image("a", 50, 50), cut=image("b", 50, 50)[:1500])
    found = check_decoding(files, headers(files))
    assert found.problems == [None, ("does not decode", "image file is truncated")]
    assert found.tried == 2


def test_the_smaller_images_are_decoded_up_to_a_number_of_pixels(tmp_path: Path) -> None:
    cut = image("b", 50, 50)[:1500]
    files = written(tmp_path, large=cut, small=image("a", 10, 10))
    found = check_decoding(files, headers(files), most=2000)
    assert (found.problems, found.tried) == ([None, None], 1)


def test_an_image_that_shows_next_to_nothing_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.full((5, 5), 7, dtype=np.uint8)).save(tmp_path / "flat.png")
    files = [tmp_path / "flat.png"]
    assert check_decoding(files, headers(files)).flat == files


def test_depth_and_frames_are_told() -> None:
    seen = [
        Header("TIFF", "F", 1, 1, False),
        Header("TIFF", "I", 1, 1, False),
        Header("PPM", "I", 1, 1, False),
        Header("PNG", "I;16", 1, 1, False),
        Header("GIF", "P", 1, 1, True),
    ]
    assert header_notes(seen) == [
        "1 image of floats, each scaled by its own range",
        "1 image of 32-bit integers, each scaled by its own range",
        "1 image of 16 bits, scaled to 8 (as 12 bits where none exceeds 4,095)",
        "1 image of several frames or pages, of which the first is taken",
    ]
    assert header_notes([Header("JPEG", "RGB", 1, 1, False)]) == []


def test_modes_other_than_the_usual_one_are_counted() -> None:
    seen = [Header("JPEG", mode, 1, 1, False) for mode in ("RGB", "RGB", "CMYK", "L")]
    (note,) = header_notes(seen)
    assert note == "2 images of another mode than the other 2 (RGB): 1 CMYK, 1 grey; all become grey or RGB"
