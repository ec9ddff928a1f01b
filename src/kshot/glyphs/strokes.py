"""The strokes of a letter: a font's outline thinned to the lines that a pen would follow.

Strokes are polylines, float64 arrays (P, 2) of x, y with the letter's centre at 0, 0, scaled so that the longer side of
its bounding box is 1. A dot is a polyline of one point.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Stroke = NDArray[np.float64]

EM = 128  # font size in pixels for thinning: fine enough for the dots of Arabic

# The eight neighbours, clockwise from north, as (row, column) steps; bit i of a code is neighbour i.
NEIGHBOURS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def strokes(font: ImageFont.FreeTypeFont, letter: str) -> list[Stroke]:
    """The pen strokes of `letter` in `font`, which is loaded at EM pixels."""
    return trace(thin(rasterise(font, letter)))


def rasterise(font: ImageFont.FreeTypeFont, letter: str) -> NDArray[np.bool_]:
    """The letter's filled shape with an empty border."""
    left, top, right, bottom = (round(value) for value in font.getbbox(letter))
    image = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), letter, fill=255, font=font)
    return np.asarray(image) > 127


def thin(shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Peel `shape` (empty border) down to lines one pixel wide (Guo and Hall 1989, CACM 32(3), algorithm A1).

    Chosen because it preserves every dot; Zhang and Suen's algorithm deletes squares of two pixels.
    """
    lines = shape.astype(np.uint8)
    before = -1
    while before != int(lines.sum()):
        before = int(lines.sum())
        for table in peeling_tables():
            lines[1:-1, 1:-1] &= ~table[neighbour_codes(lines)]
    return lines.astype(bool)


def neighbour_codes(lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The eight neighbours of each pixel except the border, as the bits of one byte."""
    height, width = lines.shape
    codes = np.zeros((height - 2, width - 2), dtype=np.uint8)
    for bit, (row, column) in enumerate(NEIGHBOURS):
        codes |= lines[1 + row : height - 1 + row, 1 + column : width - 1 + column] << bit
    return codes


@lru_cache(maxsize=1)
def peeling_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For each neighbour code, whether the pixel may be removed, in the two alternating passes (ibid., section 3)."""
    tables = np.zeros((2, 256), dtype=np.uint8)
    for code in range(256):
        near = [bool(code >> bit & 1) for bit in range(8)]
        crossings = sum(not near[i] and (near[i + 1] or near[(i + 2) % 8]) for i in (0, 2, 4, 6))
        pairs = sum(near[i - 1] or near[i] for i in (0, 2, 4, 6)), sum(near[i] or near[i + 1] for i in (0, 2, 4, 6))
        if crossings == 1 and 2 <= min(pairs) <= 3:
            north, northeast, east, southeast, south, southwest, west, northwest = near
            tables[0, code] = not ((south or southwest or not northwest) and west)
            tables[1, code] = not ((north or northeast or not southeast) and east)
    return tables[0], tables[1]


def trace(lines: NDArray[np.bool_]) -> list[Stroke]:
    """Follow one-pixel lines from end to end or fork to fork, and smooth the staircase of the pixels."""
    codes = neighbour_codes(lines.astype(np.uint8))
    links = {
        (row, column): [(row + down, column + right) for down, right in joined(int(codes[row - 1, column - 1]))]
        for row, column in np.argwhere(lines).tolist()
    }
    paths = [[pixel] for pixel, near in links.items() if not near]
    walked: set[frozenset[tuple[int, int]]] = set()
    # Ends and forks first; the remaining pixels are closed rings, which may start anywhere.
    for start in sorted(links, key=lambda pixel: len(links[pixel]) == 2):
        for step in links[start]:
            path = [start]
            while frozenset((path[-1], step)) not in walked:
                walked.add(frozenset((path[-1], step)))
                path.append(step)
                if len(links[step]) != 2:
                    break
                step = next(pixel for pixel in links[step] if pixel != path[-2])
            if len(path) > 1:
                paths.append(path)
    low, high = np.argwhere(lines).min(axis=0), np.argwhere(lines).max(axis=0)
    scale = max(1, (high - low).max())
    # Every other point is enough for a smoothed line.
    smoothed = [smooth((np.array(path) - (low + high) / 2)[:, ::-1] / scale) for path in paths]
    return [np.concatenate([path[:-1:2], path[-1:]]) for path in smoothed]


@lru_cache(maxsize=256)
def joined(code: int) -> list[tuple[int, int]]:
    """The steps to the connected neighbours of a pixel: a diagonal one only if no straight step leads there."""
    near = [code >> bit & 1 for bit in range(8)]
    return [
        step
        for bit, step in enumerate(NEIGHBOURS)
        if near[bit] and not (bit % 2 and (near[bit - 1] or near[(bit + 1) % 8]))
    ]


def smooth(path: Stroke, rounds: int = 8) -> Stroke:
    """Move each inner point towards the mean of its neighbours; ends stay fixed, and rings stay closed."""
    path = path.astype(np.float64)
    ring = len(path) > 3 and bool((path[0] == path[-1]).all())
    for _ in range(rounds if len(path) > 2 else 0):
        inner = (path[:-2] + 2 * path[1:-1] + path[2:]) / 4
        if ring:
            join = (path[-2] + 2 * path[0] + path[1]) / 4
            path = np.concatenate([join[None], inner, join[None]])
        else:
            path = np.concatenate([path[:1], inner, path[-1:]])
    return path


def unlikeness(one: list[Stroke], other: list[Stroke]) -> float:
    """Distance of two letters' strokes as a share of the letter's longer side; 0 for equal strokes.

    The fourth-power mean of each point's distance to the other letter, in the direction where it is larger. The power
    gives weight to a dot or a tail that only one of the letters has.
    """
    points, others = np.concatenate(one), np.concatenate(other)
    squared = np.square(points[:, None] - others[None]).sum(axis=2)
    return float(max(np.square(squared.min(axis=0)).mean(), np.square(squared.min(axis=1)).mean()) ** 0.25)
