"""Plots as SVG inside the page: they use the page's colours, light or dark, and need no script and no image file."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 34
EDGE = 26  # margin of a map
MOST_POINTS = 300  # per curve; more cannot be distinguished at this width


def line_chart(
    title: str,
    x: Sequence[float],
    y: Sequence[float],
    *,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    mark: float | None = None,
    percent: bool = False,
) -> Markup:
    """A curve over steps, with its interval as a band and a ring at x = `mark`. `percent`: y contains shares."""
    times = 100.0 if percent else 1.0
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float) * times
    lows = ys if low is None else np.asarray(low, dtype=float) * times
    highs = ys if high is None else np.asarray(high, dtype=float) * times
    # Without a band the curve is noisy: the raw values are drawn thin, with their running mean on top.
    smooth = running_mean(ys) if low is None else ys
    y_ticks = ticks(float(lows.min()), float(highs.max()), 5, 100.0 if percent else math.inf)
    x_ticks = ticks(0.0, float(xs.max()), 5)
    right, bottom, top = max(xs.max(), 1.0), y_ticks[0], y_ticks[-1]

    def place(a: Any, b: Any) -> list[str]:
        across = LEFT + np.asarray(a) / right * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (np.asarray(b) - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
        return [f"{i:.1f},{j:.1f}" for i, j in zip(np.atleast_1d(across), np.atleast_1d(up), strict=True)]

    parts = [grid(place, x_ticks, y_ticks, right, "%" if percent else "")]
    few = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), MOST_POINTS)).round().astype(int))
    if low is None:
        parts.append(f'<polyline class="raw" points="{" ".join(place(xs[few], ys[few]))}"/>')
    else:
        band = place(xs[few], highs[few]) + place(xs[few], lows[few])[::-1]
        parts.append(f'<polygon class="band" points="{" ".join(band)}"/>')
    parts.append(f'<polyline class="curve" points="{" ".join(place(xs[few], smooth[few]))}"/>')
    for index in few if low is not None else ():
        a, b = place(xs[index], ys[index])[0].split(",")
        words = f"step {xs[index]:,.0f}: {ys[index]:.2f} % [{lows[index]:.2f}, {highs[index]:.2f}]"
        ring = "best" if mark is not None and xs[index] == mark else "dot"
        parts.append(
            f'<circle class="{ring}" cx="{a}" cy="{b}" r="{5 if ring == "best" else 3}"><title>{words}</title></circle>'
        )
    return drawing(title, "".join(parts), HEIGHT)


def placed(points: NDArray[np.float64], least: float, most: float) -> tuple[NDArray[np.float64], float]:
    """Points (N, 2) of a map in the units of a drawing, with one scale for both directions; and the drawing's height.

    The height without the margins is between `least` and `most`.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    scale = (WIDTH - 2 * EDGE) / span[0]
    inner = float(np.clip(span[1] * scale, least, most))
    scale = min(scale, inner / span[1])
    offset = np.array([WIDTH, inner + 2 * EDGE]) / 2 - (low + high) / 2 * scale * [1, -1]
    return points * [scale, -scale] + offset, inner + 2 * EDGE


def grid(place: Any, x_ticks: list[float], y_ticks: list[float], right: float, unit: str) -> str:
    """The grid lines behind a curve and the numbers next to them."""
    parts = []
    for tick in y_ticks:
        y = float(place(0, tick)[0].split(",")[1])
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:,.10g}{unit}</text>')
    for tick in x_ticks:
        if tick <= right:
            x = float(place(tick, y_ticks[0])[0].split(",")[0])
            parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:,.10g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">step</text>')
    return "".join(parts)


def colour(number: int, count: int) -> str:
    """One of `count` colours with equal lightness, distinguishable on white and on black."""
    return f"hsl({round(360 * number / max(count, 1))} 65% 52%)"


def mark(number: int, x: float, y: float) -> str:
    """A disc, a square or a triangle in turn, so that neighbouring colours differ in shape."""
    if number % 3 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    if number % 3 == 1:
        return f'<rect x="{x - 2.7:.1f}" y="{y - 2.7:.1f}" width="5.4" height="5.4"/>'
    return f'<path d="M{x:.1f} {y - 3.6:.1f}l3.5 6h-7z"/>'


def legend_mark(number: int, count: int) -> Markup:
    """The same mark, alone, for the legend."""
    return Markup(f'<svg class="key" viewBox="0 0 8 8" fill="{colour(number, count)}">{mark(number, 4, 4)}</svg>')


def drawing(title: str, content: str, height: int) -> Markup:
    name = escape(title)
    return Markup(f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">{content}</svg>')


def running_mean(values: Any, share: float = 0.04) -> Any:
    """The mean over a window of `share` of the curve, narrower at its ends."""
    reach = round(len(values) * share / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - reach, 0)
    last = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def ticks(low: float, high: float, count: int, limit: float = math.inf) -> list[float]:
    """About `count` round numbers from at most `low` to at least `high`, but none above `limit`."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= count)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    if last * step > limit:
        first, last = min(first, math.floor(limit / step) - 1), math.floor(limit / step)
    return [round(number * step, 12) for number in range(first, last + 1)]
