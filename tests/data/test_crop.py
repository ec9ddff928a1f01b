"""The square around a drawing: position and size of the drawing have no effect on the result."""

import numpy as np
import pytest

from kshot.data.crop import CONTRAST, MARGIN, crop_to_ink
from kshot.data.images import prepare
from kshot.params.sections.ingest import Ingest


def paper(height: int, width: int, colour: tuple[int, ...] = (255,)) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, dtype=np.uint8)


def with_corner(pixels: np.ndarray, top: int, left: int, side: int, thick: int = 1, ink: int = 0) -> np.ndarray:
    """`pixels` with an L of the given height and width drawn on it, black unless said otherwise."""
    drawn = pixels.copy()
    drawn[top : top + side, left : left + thick] = ink
    drawn[top + side - thick : top + side, left : left + side] = ink
    return drawn


def test_the_square_is_the_inks_longer_side_and_a_margin_around_its_middle() -> None:
    square = crop_to_ink(with_corner(paper(100, 100), top=20, left=30, side=60))
    assert square.shape == (69, 69, 1)  # 1.15 * 60
    rows, columns = np.flatnonzero((square == 0).any((1, 2))), np.flatnonzero((square == 0).any((0, 2)))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (4, 63, 4, 63)  # of the 9 pixels more, 4 before


@pytest.mark.parametrize("side", [50, 51])
def test_where_it_was_drawn_leaves_no_trace(side: int) -> None:
    places = [(0, 0), (1, 0), (0, 1), (7, 12), (49, 69), (24, 33), (0, 69)]
    found = [crop_to_ink(with_corner(paper(100, 120), *place, side)) for place in places]
    assert all((square == found[0]).all() for square in found)


def test_a_dot_stays_small() -> None:
    drawn = paper(100, 50)
    drawn[3:5, 2:4] = 0
    square = crop_to_ink(drawn)
    assert square.shape == (48, 48, 1)  # of the longer side, 100
    assert (square == 0).sum() == 4


def test_what_lies_beyond_the_image_is_paper_of_its_own_colour() -> None:
    drawn = paper(40, 40, (200, 180, 90))
    drawn[0, :18] = drawn[:18, 0] = 10
    square = crop_to_ink(drawn)
    assert square.shape[0] == round(18 * MARGIN)
    assert (square[0] == (200, 180, 90)).all() and (square[:, 0] == (200, 180, 90)).all()
    assert (square == 10).all(2).sum() == 35


def test_light_ink_on_dark_paper() -> None:
    drawn = with_corner(paper(100, 100), 10, 10, 60)
    assert (crop_to_ink(255 - drawn) == 255 - crop_to_ink(drawn)).all()


def test_a_bold_sign_that_covers_most_of_its_paper_has_paper_around_it() -> None:
    drawn = paper(100, 100)
    drawn[4:94, 2:98] = 0
    drawn[40:60, 40:60] = 255
    square = crop_to_ink(drawn)
    assert square.shape == (110, 110, 1)
    assert (square[:5] == 255).all() and (square[-5:] == 255).all() and (square[50:55, 50:55] == 255).all()


def test_ink_may_differ_from_its_paper_by_colour_alone() -> None:
    drawn = paper(60, 60, (200, 0, 100))
    drawn[20:50, 10:20] = (0, 200, 100)  # as light, by the mean of its channels
    square = crop_to_ink(drawn)
    assert square.shape == (34, 34, 3)
    assert (square == (0, 200, 100)).all(2).sum() == 300


@pytest.mark.parametrize("contrast", [0, CONTRAST - 1])
def test_an_image_with_nothing_drawn_is_left_as_it_is(contrast: int) -> None:
    blank = paper(30, 50, (250,))
    blank[4:9, 4:9] -= np.uint8(contrast)
    assert crop_to_ink(blank) is blank


def test_a_faint_drawing_is_found_as_a_black_one_is() -> None:
    black, faint = (with_corner(paper(90, 90), 5, 20, 40, ink=ink) for ink in (0, 255 - CONTRAST))
    assert ((crop_to_ink(faint) < 255) == (crop_to_ink(black) < 255)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("invert", [False, True])
def test_a_model_is_shown_a_letter_alike_wherever_and_however_large_it_was_drawn(channels: int, invert: bool) -> None:
    shown = Ingest(size=28, channels=channels, invert=invert, crop="ink")
    sheet = paper(200, 200, (255,) * channels)
    small, large = with_corner(sheet, 11, 90, 100, thick=6), with_corner(sheet, 30, 5, 150, thick=9)
    one, other = (prepare(drawn, shown).astype(int) for drawn in (small, large))
    assert one.shape == (28, 28, channels)
    assert abs(one - other).mean() < 4  # of 255: the rounding of the square
    none = Ingest(size=28, channels=channels, invert=invert, crop="none")
    assert abs(prepare(small, none).astype(int) - prepare(large, none)).mean() > 10
