"""The square around a drawing: where the drawing lay, and how large it was drawn, leave no trace."""

import numpy as np
import pytest

from kshot.images import prepare
from kshot.ink import CONTRAST, LEAST, MARGIN, crop_to_ink
from kshot.params import Ingest


def paper(height: int, width: int, colour: tuple[int, ...] = (255,)) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, dtype=np.uint8)


def with_corner(pixels: np.ndarray, top: int, left: int, side: int, thick: int = 1) -> np.ndarray:
    """`pixels` with a black L of the given height and width drawn on it."""
    drawn = pixels.copy()
    drawn[top : top + side, left : left + thick] = 0
    drawn[top + side - thick : top + side, left : left + side] = 0
    return drawn


def test_the_square_is_the_inks_longer_side_and_a_margin_around_its_middle() -> None:
    drawn = with_corner(paper(100, 100), top=20, left=30, side=60)
    square = crop_to_ink(drawn, dark=True)
    assert square.shape == (69, 69, 1)  # 1.15 * 60
    rows, columns = np.flatnonzero((square == 0).any((1, 2))), np.flatnonzero((square == 0).any((0, 2)))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (4, 63, 4, 63)  # 4.5 on either side, to the even


def test_where_it_was_drawn_leaves_no_trace() -> None:
    found = [
        crop_to_ink(with_corner(paper(100, 120), top, left, 50), dark=True)
        for top, left in ((0, 0), (50, 70), (24, 34), (0, 70))
    ]
    assert all((square == found[0]).all() for square in found)


def test_a_dot_stays_small() -> None:
    drawn = paper(100, 50)
    drawn[3:5, 2:4] = 0
    square = crop_to_ink(drawn, dark=True)
    assert square.shape == (48, 48, 1)  # of the longer side, 100
    assert LEAST == 0.48 and (square == 0).sum() == 4


def test_what_lies_beyond_the_picture_is_paper_of_its_own_colour() -> None:
    drawn = paper(40, 40, (200, 180, 90))
    drawn[0, :30] = drawn[:30, 0] = 10
    square = crop_to_ink(drawn, dark=True)
    assert square.shape[0] == round(30 * MARGIN)
    assert (square[0] == (200, 180, 90)).all() and (square[:, 0] == (200, 180, 90)).all()
    assert (square == 10).all(2).sum() == 59


def test_light_ink_on_dark_paper() -> None:
    drawn = with_corner(paper(100, 100), 10, 10, 60)
    assert (crop_to_ink(255 - drawn, dark=False) == 255 - crop_to_ink(drawn, dark=True)).all()


@pytest.mark.parametrize("contrast", [0, CONTRAST - 1])
def test_a_picture_with_nothing_drawn_is_left_as_it_is(contrast: int) -> None:
    blank = paper(30, 50, (250,))
    blank[4:9, 4:9] -= np.uint8(contrast)
    assert crop_to_ink(blank, dark=True) is blank


def test_a_faint_drawing_is_found_as_a_black_one_is() -> None:
    black = with_corner(paper(90, 90), 5, 20, 40)
    faint = np.where(black == 0, np.uint8(255 - CONTRAST), np.uint8(255))
    assert ((crop_to_ink(faint, dark=True) < 255) == (crop_to_ink(black, dark=True) < 255)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_is_shown_the_same_wherever_and_however_large_it_was_drawn(channels: int) -> None:
    shown = Ingest(size=28, channels=channels, invert=True, crop="ink")
    sheet = paper(200, 200, (255,) * channels)
    small, large = with_corner(sheet, 10, 90, 100, thick=6), with_corner(sheet, 30, 5, 150, thick=9)
    one, other = (prepare(drawn, shown).astype(int) for drawn in (small, large))
    assert one.shape == (28, 28, channels)
    assert abs(one - other).mean() < 4  # of 255: the rounding of the square
    none = Ingest(size=28, channels=channels, invert=True, crop="none")
    assert abs(prepare(small, none).astype(int) - prepare(large, none)).mean() > 10
