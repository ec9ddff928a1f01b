"""Describes the images of a data set from a sample: photographs or drawings, colour, background, size."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kshot.data.decoding_memory import BYTES_A_PIXEL, DECODING
from kshot.data.image_formats import opened
from kshot.data.images import image_pixels
from kshot.errors import DataError

T = TypeVar("T")
SAMPLE = 256  # images that are read
SIDE = 128  # pixels of the longer side after shrinking
# Each was chosen once, by inspecting groceries, Omniglot and the built-in letters; none was tuned.
COLOURED = 24  # of 255: difference between the channels of a coloured pixel
COLOUR_SHARE = 0.02  # of an image's pixels; above this the image has colour
PLAIN = 24  # of 255: largest difference of a pixel from a plain background
PLAIN_SHARE = 0.9  # of the outermost pixels; from this on the background is plain
LEAST_PLAIN, MOST_COLOUR = 0.8, 0.1  # for drawings: share of images with a plain background, and with colour


@dataclass(frozen=True)
class ImageTraits:
    """Figures of a sample of a data set's images.

    looked_at     number of images decoded
    short_side    median of the shorter sides, in pixels
    aspect_ratio  largest ratio of long side to short side
    colour        share of images with visible colour
    plain         share of images whose outermost pixels have one colour
    light         share of those whose background is lighter than mid grey
    extent        for plain backgrounds, median of the drawing's longer side over the image's longer side
    """

    looked_at: int
    short_side: int
    aspect_ratio: float
    colour: float
    plain: float
    light: float
    extent: float

    @property
    def are_drawings(self) -> bool:
        """Whether most images are grey on a plain background."""
        return self.plain >= LEAST_PLAIN and self.colour <= MOST_COLOUR


class _Look(NamedTuple):
    """One image: its sides, whether it has colour and a plain background, and its background's lightness and extent."""

    width: int
    height: int
    colour: bool
    plain: bool
    light: bool
    extent: float


def sampled(images: Sequence[T], most: int = SAMPLE) -> list[T]:
    """At most `most` of the images, evenly spaced."""
    places = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    return [images[place] for place in sorted(set(places.tolist()))]


def image_traits(files: Sequence[Path]) -> ImageTraits:
    """The traits of these images. Raises DataError if none of them can be decoded."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = [one for one in pool.map(_look, files) if one is not None]
    if not measured:
        raise DataError(f"none of {len(files)} images can be decoded; add readable ones with `kshot data add SOURCE`")
    plain = [one for one in measured if one.plain]
    sides = np.array([(one.width, one.height) for one in measured])
    return ImageTraits(
        looked_at=len(measured),
        short_side=int(np.median(sides.min(1))),
        aspect_ratio=float((sides.max(1) / sides.min(1)).max()),
        colour=float(np.mean([one.colour for one in measured])),
        plain=len(plain) / len(measured),
        light=float(np.mean([one.light for one in plain])) if plain else 0.0,
        extent=float(np.median([one.extent for one in plain])) if plain else 1.0,
    )


def _look(file: Path) -> _Look | None:
    """The traits of one image, None if it cannot be decoded, which `kshot data add` and stage ingest report."""
    try:
        with opened(file) as image:
            width, height = image.size
            image.draft("RGB", (SIDE, SIDE))  # a large JPEG is decoded at a fraction of its size
            with DECODING.holding(image.width * image.height * BYTES_A_PIXEL):
                image.load()
                if image.mode in ("L", "RGB"):  # for other modes, image_pixels needs the original values
                    image.thumbnail((SIDE, SIDE))
                pixels = image_pixels(image, 3)
    except (DataError, OSError):
        return None
    step = -(-max(pixels.shape[:2]) // SIDE)
    return _Look(width, height, *_appearance(pixels[::step, ::step].astype(np.int16)))


def _appearance(pixels: NDArray[np.int16]) -> tuple[bool, bool, bool, float]:
    """For pixels (height, width, 3): colour, plain background, light background, extent of the drawing."""
    coloured = float((pixels.max(2) - pixels.min(2) > COLOURED).mean())
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(edges, axis=0)
    plain = float((np.abs(edges - background).max(1) <= PLAIN).mean()) >= PLAIN_SHARE
    differs = np.abs(pixels - background).max(2)
    drawn = differs > max(PLAIN, differs.max() / 2)
    sides = [np.ptp(np.flatnonzero(drawn.any(axis))) + 1 for axis in (0, 1)] if drawn.any() else [max(drawn.shape)]
    return coloured > COLOUR_SHARE, plain, bool(background.mean() > 127), float(max(sides) / max(drawn.shape))
