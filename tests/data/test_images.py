"""Decoding of hand-made images, and packing compared with numpy's own reader."""

import contextlib
import io
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from kshot.data import images
from kshot.data.image_formats import read_header
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest


def png(pixels: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", **options)
    return buffer.getvalue()


def grey(height: int, width: int, value: int = 0) -> NDArray[np.uint8]:
    return np.full((height, width), value, dtype=np.uint8)


def test_decode_gives_height_width_channels_at_the_own_size() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert images.decode(png(pixels), 1).tolist() == [[[0], [1], [2]], [[3], [4], [5]]]
    assert images.decode(png(pixels), 3)[1, 2].tolist() == [5, 5, 5]


def test_a_path_and_its_bytes_decode_alike(tmp_path: Path) -> None:
    data = png(grey(4, 5, 77))
    (tmp_path / "a.png").write_bytes(data)
    assert (images.decode(tmp_path / "a.png", 1) == images.decode(data, 1)).all()


def test_grey_is_luminance() -> None:
    red = np.zeros((1, 1, 3), dtype=np.uint8)
    red[..., 0] = 200
    assert images.decode(png(red), 1).item() == round(0.299 * 200)  # ITU-R 601


def test_transparency_lies_on_white() -> None:
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)  # black ink: invisible, half there, there
    pixels[0, :, 3] = [0, 128, 255]
    assert images.decode(png(pixels), 1).ravel().tolist() == [255, 127, 0]


def test_transparency_of_a_palette_lies_on_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((1, 0), 1)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=0)
    assert images.decode(buffer.getvalue(), 3).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_sixteen_bits_keep_their_range() -> None:
    pixels = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert images.decode(png(pixels), 1).ravel().tolist() == [0, 100, 255]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_twelve_bits_in_sixteen_are_scaled_as_twelve() -> None:
    for kind in ("PNG", "TIFF"):
        data = encoded(Image.fromarray(np.array([[0, 819, 4095]], dtype=np.uint16)), kind)
        assert images.decode(data, 1).ravel().tolist() == [0, 51, 255]


def test_eight_bits_in_sixteen_are_as_they_are() -> None:
    assert images.decode(png(np.array([[0, 100, 255]], dtype=np.uint16)), 1).ravel().tolist() == [0, 100, 255]


@pytest.mark.parametrize("values", [[0.0, 0.2, 1.0], [-1.0, -0.6, 1.0], [0.0, 600.0, 3000.0]])
@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_floats_and_32_bits_of_a_tiff_are_scaled_by_their_own_range(values: list[float], kind: str) -> None:
    scaled = np.array([values], dtype=np.float64) * (1 if kind == "float32" else 1000)
    data = encoded(Image.fromarray(scaled.astype(kind)), "TIFF")
    assert images.decode(data, 1).ravel().tolist() == [0, 51, 255]


def test_an_image_of_one_float_is_black_and_one_with_nan_is_refused() -> None:
    flat = np.full((2, 2), 0.5, dtype=np.float32)
    assert (images.decode(encoded(Image.fromarray(flat), "TIFF"), 1) == 0).all()
    flat[0, 0] = np.nan
    with pytest.raises(DataError, match="values that are no numbers"):
        images.decode(encoded(Image.fromarray(flat), "TIFF"), 1)


def test_an_image_larger_than_asked_is_refused_before_it_is_decoded() -> None:
    with (
        pytest.raises(DataError, match="it has 5 x 4 pixels; needs at most 19 in all"),
        images.decoded(png(grey(4, 5)), 1, largest=19),
    ):
        pass


def test_an_image_counts_in_the_budget_until_its_block_ends() -> None:
    with images.decoded(png(grey(4, 5)), 1):
        assert images.DECODING.taken == 4 * 5 * images.BYTES_A_PIXEL
    assert images.DECODING.taken == 0


def test_one_bit_is_black_and_white() -> None:
    assert images.decode(png(np.array([[True, False]])), 1).ravel().tolist() == [255, 0]


def test_the_orientation_of_the_camera_is_applied() -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(np.array([[0, 255], [0, 255], [0, 255]], dtype=np.uint8)).save(buffer, format="PNG", exif=exif)
    assert images.decode(buffer.getvalue(), 1)[:, :, 0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty"),
        (b"this is a text and no image\n", "no image that can be read"),
        (png(np.arange(10000).reshape(100, 100).astype(np.uint8))[:-60], "cannot be decoded"),
        (png(grey(8, 8))[:20], "cannot be decoded"),
    ],
    ids=["empty", "a text named .png", "truncated", "a header alone"],
)
def test_what_is_no_image_is_told_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        images.decode(data, 1)
    assert "\n" not in str(caught.value)


def test_no_byte_of_a_png_can_be_broken_into_another_error() -> None:
    sound = png(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for place in range(8, len(sound)):
        broken = bytearray(sound)
        broken[place] ^= 0xFF
        with contextlib.suppress(DataError):
            images.decode(bytes(broken), 1)


def test_an_image_that_says_it_is_huge_is_refused_before_it_is_decoded() -> None:
    sound = bytearray(png(grey(2, 2)))
    sound[16:24] = (9_500).to_bytes(4) + (9_500).to_bytes(4)
    sound[29:33] = zlib.crc32(sound[12:29]).to_bytes(4)
    with pytest.warns(Image.DecompressionBombWarning), Image.open(io.BytesIO(bytes(sound))):
        pass
    with pytest.raises(DataError, match="9500|exceeds limit"):
        images.decode(bytes(sound), 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_prepare_gives_a_square(channels: int) -> None:
    pixels = np.full((30, 50, channels), 200, dtype=np.uint8)
    assert (
        images.prepare(pixels, Ingest(8, channels, invert=False, crop="none")).tolist()
        == np.full((8, 8, channels), 200).tolist()
    )
    assert (
        images.prepare(pixels, Ingest(8, channels, invert=True, crop="none")).tolist()
        == np.full((8, 8, channels), 55).tolist()
    )


def test_prepare_keeps_an_image_of_the_right_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert (images.prepare(pixels, Ingest(16, 3, invert=False, crop="none")) == pixels).all()


def test_shrinking_averages_and_does_not_pick_single_pixels() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))[:, :, None]  # single columns, black and white
    small = images.prepare(stripes, Ingest(8, 1, invert=False, crop="none")).astype(int)
    assert abs(small[2:6, 2:6] - 127).max() <= 3


def test_the_content_hash_depends_on_pixels_and_shape_alone() -> None:
    a = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    assert images.content_hash(a) == images.content_hash(a.copy())
    assert images.content_hash(a) != images.content_hash(a.reshape(4, 3, 1))
    assert images.content_hash(a) != images.content_hash(a + np.uint8(1))
    assert len(images.content_hash(a)) == 32


def test_pack_writes_in_order_and_sets_aside_what_it_cannot_read(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(png(grey(10 + i, 20, 10 * i)))
    paths[2].write_bytes(b"no image")
    absent = tmp_path / "absent.png"
    records = list(images.pack([*paths, absent], tmp_path / "images.npy", Ingest(8, 1, invert=False, crop="none")))
    array = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert array.shape == (4, 8, 8, 1)
    assert array[:, 0, 0, 0].tolist() == [0, 10, 30, 40]
    assert [type(record).__name__ for record in records] == [
        *["Packed"] * 2,
        "Unreadable",
        *["Packed"] * 2,
        "Unreadable",
    ]
    assert [record.path for record in records] == [*paths, absent]
    third = records[3]
    assert isinstance(third, images.Packed)
    assert (third.width, third.height) == (20, 13)


def test_pack_goes_through_more_than_one_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WINDOW", 3)
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for i, path in enumerate(paths):
        path.write_bytes(png(grey(8, 8, i)))
    list(images.pack(paths, tmp_path / "images.npy", Ingest(8, 1, invert=True, crop="none")))
    assert np.load(tmp_path / "images.npy")[:, 0, 0, 0].tolist() == [255 - i for i in range(8)]


@pytest.mark.parametrize("pack", [images.pack, images.pack_jpegs])
def test_pack_reads_no_more_than_a_window_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    monkeypatch.setattr(images, "WINDOW", 4)
    path, asked = tmp_path / "a.png", 0
    path.write_bytes(png(grey(8, 8)))

    def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield path

    records = pack(endless(), tmp_path / "images", Ingest(8, 1, invert=True, crop="none"))
    for _ in range(9):
        next(records)
    assert asked == 12
    records.close()


@pytest.mark.parametrize("pack", [images.pack, images.pack_jpegs])
def test_packing_holds_a_window_of_images_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any
) -> None:
    monkeypatch.setattr(images, "WINDOW", 4)
    path = tmp_path / "a.png"
    path.write_bytes(png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    ingest, peaks = Ingest(64, 3, invert=False, crop="none"), []
    for count in (8, 8, 64):
        tracemalloc.start()
        for _ in pack([path] * count, tmp_path / "images", ingest):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 10 * 64 * 64 * 3  # 56 images more; a window holds 4


def test_the_same_images_pack_to_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path in paths:
        path.write_bytes(png(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)))
    for name in ("one.npy", "two.npy"):
        list(images.pack(paths, tmp_path / name, Ingest(10, 3, invert=False, crop="none")))
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_one_opening_gives_the_header_and_the_pixels_of_the_first_frame(kind: str) -> None:
    frames = [Image.fromarray(np.full((5, 4), shade, np.uint8)).convert("P") for shade in (40, 200)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with images.decoded_with_header(content, 3) as (header, pixels):
        assert header == read_header(content) and (header.width, header.height, header.frames) == (4, 5, True)
        with images.opened(content) as alone:
            alone.load()
            assert (pixels == images.image_pixels(alone, 3)).all()
    assert images.DECODING.taken == 0


def test_an_error_of_the_block_is_no_error_of_the_image() -> None:
    with pytest.raises(OSError, match="full"), images.decoded(png(grey(4, 5)), 1):
        raise OSError("full")


def test_an_image_that_need_not_be_turned_or_converted_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 50, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    monkeypatch.delattr(Image.Image, "copy")
    monkeypatch.delattr(Image.Image, "crop")
    decoded = images.decode(file.getvalue(), 3)
    assert np.array_equal(decoded, pixels)
    square = images.prepare(decoded, Ingest(size=20, channels=3, invert=False, crop="none", fit="crop"))
    assert np.array_equal(
        square, images.prepare(pixels[:, 10:40], Ingest(size=20, channels=3, invert=False, crop="none", fit="squash"))
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_applied_as_pillow_does(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    gradient = np.add.outer(np.arange(12) * 9, np.arange(20) * 5).astype(np.uint8)
    Image.fromarray(gradient).convert("RGB").save(file, kind, exif=exif)
    with Image.open(file) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(images.decode(file.getvalue(), 3), expected)
