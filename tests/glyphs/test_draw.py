# ruff: noqa: RUF001 -- letters that look like Latin ones are what is tested
"""The built-in data set: the same bytes from a seed, letters that differ, and a low accuracy of raw pixels."""

import hashlib
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from kshot.errors import DataError
from kshot.glyphs import draw
from kshot.glyphs.letters import ALPHABETS, UNLIKE, letter_name
from kshot.glyphs.strokes import EM, neighbour_codes, strokes, thin, trace, unlikeness

LETTERS = [(script, letter) for script, letters in ALPHABETS.items() for letter in letters]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glyphs")
    draw.draw(folder, seed=0, drawers=4, letters_a_script=6)
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def test_there_are_15_scripts_and_500_letters_with_unique_names() -> None:
    assert len(ALPHABETS) >= 15
    assert len(LETTERS) >= 500
    assert len({letter for _, letter in LETTERS}) == len(LETTERS)
    names = Counter((script, letter_name(letter)) for script, letter in LETTERS)
    assert max(names.values()) == 1
    assert all(name.replace("_", "").isalnum() and name.isascii() and name == name.lower() for _, name in names)


def test_names_are_those_of_unicode_without_the_script() -> None:
    assert [letter_name(letter) for letter in "Aאβ"] == ["capital_a", "alef", "small_beta"]
    assert [letter_name(letter) for letter in "\U0001d504ℭℬ𐌂"] == ["capital_a", "capital_c", "capital_b", "ke"]


def test_letters_are_base_letters() -> None:
    for _, letter in LETTERS:
        assert unicodedata.category(letter) in ("Lu", "Ll", "Lo")
        assert not unicodedata.normalize("NFD", letter)[1:]


def test_no_two_letters_of_the_whole_set_look_alike() -> None:
    fonts = draw.font_folder()
    shapes = [next(iter(draw.letter_forms(fonts, letter).values())) for _, letter in LETTERS]
    coarse = map_distances([np.concatenate(shape) for shape in shapes])
    near = [(int(i), int(j)) for i, j in np.argwhere(coarse < UNLIKE + 0.02) if i < j]
    assert near, "the coarse measure must leave pairs for the exact one"
    alike = [LETTERS[i][1] + LETTERS[j][1] for i, j in near if unlikeness(shapes[i], shapes[j]) < UNLIKE]
    assert not alike


def map_distances(shapes: list[NDArray[np.float64]], cells: int = 40) -> NDArray[np.float64]:
    """The measure of `unlikeness` by distance maps on a grid: all pairs in one product, exact to half a cell."""
    ticks = (np.arange(cells) + 0.5) / cells * 1.2 - 0.6
    centres = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    maps, marks = np.empty((len(shapes), cells**2)), np.zeros((len(shapes), cells**2))
    for row, points in enumerate(shapes):
        products = centres @ points.T
        maps[row] = ((centres**2).sum(1)[:, None] + (points**2).sum(1)[None] - 2 * products).min(axis=1) ** 2
        at = ((points + 0.6) / 1.2 * cells).astype(int)
        np.add.at(marks[row], at[:, 1] * cells + at[:, 0], 1 / len(points))
    one_way: NDArray[np.float64] = (maps @ marks.T) ** 0.25
    return np.maximum(one_way, one_way.T)


def test_fonts_draw_only_letters_that_they_have() -> None:
    forms = draw.letter_forms(draw.font_folder(), "ⴰ")
    assert list(forms) == ["DejaVuSans"]  # the others would draw the box of a missing character


def test_layout_and_format_are_those_of_omniglot(drawn: Path) -> None:
    files = sorted(drawn.rglob("*.png"))
    assert len(files) == 4 * sum(min(6, len(letters)) for letters in ALPHABETS.values())
    assert drawn / "Latin" / "capital_a" / "04.png" in files
    for path in files:
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((105, 105), "L")
            pixels = np.asarray(image)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() == 255, path  # nothing is cut off
        assert 0.005 < (pixels < 128).mean() < 0.25, path  # dark ink on white


def test_no_image_is_drawn_twice(drawn: Path) -> None:
    assert max(Counter(digests(drawn).values()).values()) == 1


def test_a_seed_gives_the_same_bytes_and_another_seed_other_ones(tmp_path: Path, drawn: Path) -> None:
    draw.draw(tmp_path / "again", seed=0, drawers=4, letters_a_script=1)
    draw.draw(tmp_path / "other", seed=1, drawers=4, letters_a_script=1)
    again, other, all_of_them = digests(tmp_path / "again"), digests(tmp_path / "other"), digests(drawn)
    assert again.items() <= all_of_them.items()  # also: an image does not depend on what else is drawn
    assert not again.items() & other.items()


def test_images_do_not_depend_on_the_number_of_drawers(tmp_path: Path, drawn: Path) -> None:
    draw.draw(tmp_path, seed=0, drawers=2, letters_a_script=1)
    assert digests(tmp_path).items() <= digests(drawn).items()


def test_several_processes_draw_the_same_bytes(tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "FEW", 0)
    draw.draw(tmp_path, seed=0, drawers=1, letters_a_script=2)
    drawn_here = digests(tmp_path)
    assert len(drawn_here) == 2 * len(ALPHABETS)
    assert drawn_here.items() <= digests(drawn).items()


def test_the_images_are_those_of_the_locked_requirements(tmp_path: Path) -> None:
    """A change here is a new data version of the built-in set: say so in the changelog."""
    draw.draw(tmp_path, seed=0, drawers=2, letters_a_script=1)
    pixels = hashlib.md5()
    for path in sorted(tmp_path.rglob("*.png")):
        pixels.update(np.asarray(Image.open(path)).tobytes())
    assert pixels.hexdigest() == "edca1a2e6250202320e2db4151f5f416"


def test_raw_pixels_do_not_solve_it(tmp_path: Path) -> None:
    """Nearest neighbour on 28 x 28 pixels, 20-way 1-shot, over 60 letters of five scripts."""
    draw.draw(tmp_path, seed=0, drawers=8, letters_a_script=12)
    images = np.stack([letter_images(tmp_path / script, 28) for script in ("Greek", "Arabic", "Lao", "NKo", "Fraktur")])
    images = images.reshape(-1, 8, 28 * 28)
    rng = np.random.default_rng(0)
    right = []
    for _ in range(1000):
        classes = rng.choice(len(images), 20, replace=False)
        support, query = rng.permuted(np.tile(np.arange(8), (20, 1)), axis=1)[:, :2].T
        distances = np.square(images[classes, query][:, None] - images[classes, support][None]).sum(axis=2)
        right.append((distances.argmin(axis=1) == np.arange(20)).mean())
    assert 0.25 < np.mean(right) < 0.5


def letter_images(script: Path, side: int) -> NDArray[np.float32]:
    return np.stack(
        [
            1 - np.asarray(Image.open(path).resize((side, side), Image.Resampling.BOX), dtype=np.float32).ravel() / 255
            for path in sorted(script.rglob("*.png"))
        ]
    )


def test_without_matplotlib_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(DataError, match=r"matplotlib, which is not installed: pip install 'kshot\[pipeline\]'"):
        draw.draw(tmp_path)


def test_thinning_keeps_a_line_of_one_pixel_and_every_dot() -> None:
    shape = np.zeros((20, 30), dtype=bool)
    shape[4:9, 3:27] = True  # a bar
    shape[13:15, 5:7] = True  # dots of two, three and one pixel
    shape[13:16, 12:15] = True
    shape[14, 20] = True
    lines = thin(shape)
    assert lines[11:, 4:8].any() and lines[11:, 11:16].any() and lines[14, 20]
    assert not (lines & ~shape).any()
    bar = lines[:11]
    assert bar.any(axis=0)[6:24].all() and bar[:, 6:24].sum(axis=0).max() == 1


def test_neighbour_codes_count_clockwise_from_north() -> None:
    lines = np.zeros((3, 3), dtype=np.uint8)
    lines[0, 1] = lines[1, 2] = 1
    assert neighbour_codes(lines).tolist() == [[0b101]]


def test_tracing_follows_each_line_once_in_a_frame_of_length_one() -> None:
    lines = np.zeros((15, 25), dtype=bool)
    lines[3, 2:23] = True  # a T: three strokes that meet at the fork
    lines[3:13, 12] = True
    lines[12, 20] = True  # and a dot
    paths = trace(lines)
    assert sorted(len(path) for path in paths)[0] == 1
    points = np.concatenate(paths)
    assert points.min(axis=0) == pytest.approx([-0.5, -0.225], abs=1e-9)
    assert points.max(axis=0) == pytest.approx([0.5, 0.225], abs=1e-9)
    dot = next(path for path in paths if len(path) == 1)
    assert dot[0] == pytest.approx([(20 - 12) / 20, (12 - 7.5) / 20])


def test_tracing_closes_a_ring() -> None:
    lines = np.zeros((14, 14), dtype=bool)
    rows, columns = np.mgrid[:14, :14]
    lines[np.abs(np.hypot(rows - 6.5, columns - 6.5) - 4.5) < 0.5] = True
    [ring] = trace(thin(lines))
    assert ring[0] == pytest.approx(ring[-1])


def test_unlikeness_is_the_distance_of_two_parallel_lines() -> None:
    line = np.stack([np.linspace(-0.5, 0.5, 11), np.zeros(11)], axis=1)
    assert unlikeness([line], [line]) == 0
    assert unlikeness([line], [line + np.array([0, 0.1])]) == pytest.approx(0.1)
    tail = np.array([[0.0, 0.2]])  # one point of twelve, 0.2 away: (0.2 ** 4 / 12) ** 0.25, whichever comes first
    assert unlikeness([line], [line, tail]) == unlikeness([line, tail], [line]) == pytest.approx(0.10746, abs=1e-5)


def test_strokes_of_a_letter_fill_the_frame() -> None:
    font = ImageFont.truetype(draw.font_folder() / "DejaVuSans.ttf", EM)
    points = np.concatenate(strokes(font, "H"))
    assert np.ptp(points, axis=0).max() == pytest.approx(1, abs=0.03)
