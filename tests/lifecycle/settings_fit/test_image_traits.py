"""The traits of a sample of images: photographs or drawings, colour, light or dark background, size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kshot.errors import DataError
from kshot.lifecycle.settings_fit.image_traits import image_traits, sampled


def drawings(folder: Path, paper: int, ink: int, *, box: tuple[int, int, int, int] = (8, 8, 24, 40)) -> list[Path]:
    files = []
    for number in range(6):
        image = Image.new("L", (100, 100), paper)
        ImageDraw.Draw(image).ellipse(tuple(number + side for side in box), outline=ink, width=3)
        files.append(folder / f"{number}.png")
        image.save(files[-1])
    return files


def photographs(folder: Path, size: tuple[int, int], *, grey: bool = False) -> list[Path]:
    files = []
    for number in range(6):
        waves = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(waves).resize(size, Image.Resampling.BICUBIC)
        files.append(folder / f"{number}.jpg")
        (image.convert("L") if grey else image).save(files[-1])
    return files


@pytest.mark.parametrize(("paper", "ink", "light"), [(255, 0, 1.0), (0, 255, 0.0), (230, 30, 1.0)])
def test_grey_lines_on_a_plain_background_are_drawings(tmp_path: Path, paper: int, ink: int, light: float) -> None:
    traits = image_traits(drawings(tmp_path, paper, ink))
    assert traits.are_drawings and (traits.colour, traits.plain, traits.light) == (0.0, 1.0, light)
    assert traits.short_side == 100 and 0.3 <= traits.extent <= 0.36  # 33 of 100 pixels


def test_photographs_have_colour_and_no_plain_background(tmp_path: Path) -> None:
    traits = image_traits(photographs(tmp_path, (640, 400)))
    assert not traits.are_drawings and traits.colour == 1.0 and traits.plain == 0.0
    assert (traits.short_side, traits.aspect_ratio) == (400, 1.6)


def test_grey_photographs_are_no_drawings(tmp_path: Path) -> None:
    traits = image_traits(photographs(tmp_path, (30, 30), grey=True))
    assert not traits.are_drawings and traits.colour == 0.0 and traits.short_side == 30


def test_products_in_colour_on_white_are_no_drawings(tmp_path: Path) -> None:
    files = []
    for number in range(4):
        image = Image.new("RGB", (80, 80), "white")
        ImageDraw.Draw(image).ellipse((20, 20, 60, 60), fill=(200, 30 * number, 20))
        files.append(tmp_path / f"{number}.png")
        image.save(files[-1])
    traits = image_traits(files)
    assert traits.plain == 1.0 and not traits.are_drawings


def test_what_does_not_decode_is_left_to_those_who_say_so(tmp_path: Path) -> None:
    files = photographs(tmp_path, (50, 40))
    (tmp_path / "no.jpg").write_text("no image")
    assert image_traits([*files, tmp_path / "no.jpg"]).looked_at == 6
    with pytest.raises(DataError, match="none of 1 images can be decoded"):
        image_traits([tmp_path / "no.jpg"])


def test_a_sample_covers_both_ends() -> None:
    assert sampled(range(1000), 3) == [0, 500, 999]
    assert sampled(range(2), 3) == [0, 1]
