"""The built-in data set: letters of many scripts, drawn by twenty simulated hands from the fonts in matplotlib.

A font's letter is thinned to pen strokes (strokes.py) and drawn again by a hand. A drawer has the same font, slant,
proportions, size and pen for all letters, and every letter gets a different random distortion.
"""

import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kshot.errors import DataError
from kshot.glyphs.letters import ALPHABETS, letter_name
from kshot.glyphs.strokes import EM, Stroke, strokes, unlikeness

SIDE = 105  # pixels, as in Omniglot
FEW = 200  # one process draws this many letters before a second one has started
FINE = 3  # letters are drawn this many times larger and reduced, for smooth edges

# Upright faces with different skeletons; bold faces thin to the same lines, and slant comes from the hand.
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")

# Maximum unlikeness to the letter of the first face; beyond it a face shows another form: double-storey g, curled
# Georgian.
SAME_LETTER = 0.12


@dataclass(frozen=True)
class Hand:
    """The parameters of a drawer; lengths are shares of the letter's longer side unless they are in pixels."""

    fonts: tuple[str, ...]  # the first one that has the letter is used
    pen: float  # pixels
    size: float  # pixels
    aspect: float  # logarithm of width over height
    slant: float
    turn: float  # radians
    bend: float  # size of the elastic distortion


def draw(folder: Path, seed: int = 0, drawers: int = 20, letters_a_script: int | None = None) -> None:
    """Write `folder`/Script/letter_name/NN.png, NN from 01 to `drawers`: 105 x 105, 8-bit grey, dark ink on white.

    The same seed gives the same bytes; an image depends on seed, letter and drawer alone. `letters_a_script` draws
    only the first letters of each script. Raises DataError if matplotlib, whose fonts are drawn, is not installed.
    """
    fonts = font_folder()
    work = [(script, letter) for script, letters in ALPHABETS.items() for letter in letters[:letters_a_script]]
    job = partial(draw_letter, folder, fonts, seed, drawers)
    if len(work) < FEW:
        for item in work:
            job(item)
        return
    # Spawned, not forked: the caller may have threads, whose locks a fork would leave locked.
    with ProcessPoolExecutor(min(8, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        for _ in pool.map(job, work, chunksize=16):
            pass


def font_folder() -> Path:
    """The folder of matplotlib's fonts."""
    try:
        import matplotlib
    except ImportError as error:
        raise DataError(
            "the built-in data set is drawn from the fonts of matplotlib, which is not installed: "
            "pip install 'kshot[pipeline]', or add images of your own"
        ) from error
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def draw_letter(folder: Path, fonts: Path, seed: int, drawers: int, item: tuple[str, str]) -> None:
    """Write the images of one letter, one for each drawer."""
    script, letter = item
    forms = letter_forms(fonts, letter)
    place = folder / script / letter_name(letter)
    place.mkdir(parents=True, exist_ok=True)
    for drawer in range(drawers):
        hand = make_hand(seed, drawer)
        form = forms[next(name for name in hand.fonts if name in forms)]
        rng = np.random.default_rng([seed, ord(letter), drawer])
        rasterise(bend(form, hand, rng), hand.pen * math.exp(rng.normal(0, 0.08))).save(
            place / f"{drawer + 1:02d}.png", compress_level=1
        )


@cache  # no seed changes them, and they take most of the time
def letter_forms(fonts: Path, letter: str) -> dict[str, list[Stroke]]:
    """The letter's strokes by font name, for the fonts in which it has a similar shape."""
    faces = {name: face(fonts / f"{name}.ttf") for name in FONTS}
    forms = {name: strokes(font, letter) for name, (font, covered) in faces.items() if ord(letter) in covered}
    first = next(iter(forms.values()))
    return {name: form for name, form in forms.items() if unlikeness(first, form) < SAME_LETTER}


@cache
def face(path: Path) -> tuple[ImageFont.FreeTypeFont, frozenset[int]]:
    """The font and the characters in it: a missing character would be drawn as an empty box."""
    from fontTools.ttLib import TTFont  # comes with matplotlib

    with TTFont(path, lazy=True) as font:
        covered = frozenset(font.getBestCmap())
    return ImageFont.truetype(path, EM, layout_engine=ImageFont.Layout.BASIC), covered


@cache
def make_hand(seed: int, drawer: int) -> Hand:
    """The hand of a drawer, the same for every letter."""
    rng = np.random.default_rng([seed, drawer])
    return Hand(
        fonts=tuple(FONTS[i] for i in rng.permutation(len(FONTS))),
        pen=rng.uniform(2.8, 5.0),
        size=rng.uniform(64, 78),
        aspect=rng.normal(0, 0.10),
        slant=rng.normal(0.06, 0.10),
        turn=rng.normal(0, 0.05),
        bend=rng.uniform(0.012, 0.03),
    )


def bend(form: list[Stroke], hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """One drawing of the letter by the hand, in pixels of the image."""
    turn, slant = hand.turn + rng.normal(0, 0.05), hand.slant + rng.normal(0, 0.05)
    aspect = hand.aspect + rng.normal(0, 0.07)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    slanted = np.array([[1.0, -slant], [0.0, 1.0]])
    matrix = turned @ slanted @ np.diag([math.exp(aspect / 2), math.exp(-aspect / 2)])
    # A few long random waves across the letter: smooth, so that strokes bend but do not break.
    waves, phases = rng.normal(0, 4.5, (4, 2)), rng.uniform(0, 2 * math.pi, 4)
    push = rng.normal(0, hand.bend, (4, 2))
    bent = [(path + np.sin(path @ waves.T + phases) @ push) @ matrix.T for path in form]
    points = np.concatenate(bent)
    low, high = points.min(axis=0), points.max(axis=0)
    size = hand.size * math.exp(rng.normal(0, 0.05))
    scale = min(size, SIDE - 14) / max(high - low)
    room = (SIDE - 8 - scale * (high - low)) / 2
    middle = SIDE / 2 + np.clip(rng.normal(0, 2.0, 2), -room, room)
    return [(path - (low + high) / 2) * scale + middle for path in bent]


def rasterise(paths: list[Stroke], pen: float) -> Image.Image:
    """The strokes drawn dark on white with a round pen of `pen` pixels."""
    page = Image.new("L", (SIDE * FINE, SIDE * FINE), 255)
    brush = ImageDraw.Draw(page)
    width = round(pen * FINE)
    for path in paths:
        # Rounded to whole pixels: the last digit of a sine differs between processors, but the image must not.
        dots = np.rint(path * FINE).astype(int).tolist()
        brush.line([tuple(dot) for dot in dots], fill=0, width=width)
        for x, y in (dots[0], dots[-1]):
            brush.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)
    return page.reduce(FINE)
