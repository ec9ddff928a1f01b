"""Supported formats: decoders that start no program, and headers that are read before any pixel."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from kshot.data.image_formats import FORMATS, opened, read_header
from kshot.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA"])
def test_a_header_says_kind_and_size(kind: str) -> None:
    found = read_header(encoded(kind))
    assert (found.format, found.width, found.height, found.pixels, found.frames) == (kind, 6, 8, 48, False)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_a_header_says_that_there_are_more_frames(kind: str) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, shift, 0)) for shift in (1, 2)]
    assert read_header(encoded(kind, save_all=True, append_images=frames)).frames


def test_a_postscript_file_reaches_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **options: started.append(arguments))
    content = encoded("EPS")
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "EPS"  # Pillow itself would take it
    with pytest.raises(DataError, match="no image that can be read"), opened(content) as image:
        image.load()
    assert not started


def test_no_format_that_starts_a_program_is_in_the_list() -> None:
    assert not {"EPS", "WMF", "FPX", "MIC", "PCD", "BUFR", "GRIB", "HDF5"} & set(FORMATS)


def test_what_is_wrong_in_the_block_is_one_line_too() -> None:
    with pytest.raises(DataError, match="cannot be decoded: odd and odder"), opened(encoded("PNG")):
        raise SyntaxError("odd\nand odder")


def test_a_file_that_may_not_be_read_is_the_disks_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "nowhere.png")
