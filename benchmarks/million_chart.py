"""Draws the table of `benchmarks/million.py` in docs/scale.md as a chart: seconds and memory against images.

python benchmarks/million_chart.py    # writes docs/scale.svg
"""

import html
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
COUNTS = (10_000, 100_000, 1_000_000)
CELL = re.compile(r"(?P<seconds>[\d,.]+) s, (?P<memory>[\d.]+) GB")
WIDTH, HEIGHT, TOP, BOTTOM, LEFT, PLOT, LABELS = 920, 400, 54, 48, 52, 230, 150  # pixels
LETTER = 6.5  # width of a letter in a label of 12 pixels
GAP = 15  # between the labels of two lines
COLOURS = ("#2a6fb0", "#c2571a", "#2f8a4c", "#8a4fa3", "#b03a55", "#6b7a1f", "#1f8a8a", "#a0761c", "#7a6a5a")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .small { fill: #57606a }
.page { fill: #ffffff } .grid { stroke: #d8dee4 } .guide { stroke: #57606a; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9da7b1 } .page { fill: #0d1117 } .grid { stroke: #30363d }
  .guide { stroke: #9da7b1 } .line, circle { filter: brightness(1.5) }
}
"""


class Panel(NamedTuple):
    """A chart of one quantity. x: its left edge; low, high: the range of the axis; at: where the dashed line is."""

    title: str
    unit: str
    x: int
    low: float
    high: float
    at: tuple[float, float]
    at_label: str


def main() -> None:
    """Write docs/scale.svg."""
    found = rows(PAGE.read_text(encoding="utf-8"))
    half = LEFT + PLOT + LABELS + 60
    seconds = Panel("processor seconds", "s", LEFT, 1, 2000, (2, 200), "linear")
    memory = Panel("highest memory of a process", "GB", half, 0.05, 5, (2, 2), "2 GB")
    drawn = [
        *panel(seconds, {name: [cell[0] for cell in cells] for name, cells in found.items()}, (1, 10, 100, 1000)),
        *panel(memory, {name: [cell[1] for cell in cells] for name, cells in found.items()}, (0.1, 1)),
    ]
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>Seconds and memory of every stage against the number of images</title>\n<style>{STYLE}</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )
    PAGE.with_suffix(".svg").write_text(text, encoding="utf-8")


def rows(page: str) -> dict[str, list[tuple[float, float]]]:
    """Seconds and GB at each number of images, by the name of the row."""
    found = {}
    for line in page.splitlines():
        cells = [CELL.fullmatch(cell.strip()) for cell in line.strip("|").split("|")[1:]]
        if line.startswith("|") and len(cells) == len(COUNTS) and all(cells):
            name = line.strip("|").split("|")[0].strip().replace("`", "")
            found[name] = [
                (float(cell["seconds"].replace(",", "")), float(cell["memory"])) for cell in cells if cell is not None
            ]
    return found


def panel(of: Panel, lines: dict[str, list[float]], ticks: tuple[float, ...]) -> list[str]:
    """The elements of one panel; both axes are logarithmic."""
    drawn = [f'<text class="title" x="{of.x}" y="24">{of.title}</text>']
    for tick in ticks:
        y = height(of, tick)
        drawn.append(f'<line class="grid" x1="{of.x}" x2="{of.x + PLOT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = f"{tick:,g} {of.unit}"
        drawn.append(f'<text class="small" x="{of.x - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    drawn += [
        f'<text class="small" x="{across(of, count):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{count:,}</text>'
        for count in COUNTS
    ]
    first, last = (height(of, value) for value in of.at)
    drawn.append(f'<line class="guide" x1="{of.x}" x2="{of.x + PLOT}" y1="{first:.1f}" y2="{last:.1f}"/>')
    x, y = free_place(of, (first, last), [[height(of, value) for value in values] for values in lines.values()])
    drawn.append(f'<text class="small" x="{x:.1f}" y="{y:.1f}">{of.at_label}</text>')
    places = spread({name: height(of, values[-1]) for name, values in lines.items()})
    for (name, values), colour in zip(lines.items(), COLOURS, strict=True):
        points = [(across(of, count), height(of, value)) for count, value in zip(COUNTS, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, y = points[-1]
        drawn.append(
            f'<line stroke="{colour}" x1="{x + 4:.1f}" y1="{y:.1f}" x2="{x + 14:.1f}" y2="{places[name]:.1f}"/>'
        )
        drawn.append(f'<text x="{x + 18:.1f}" y="{places[name] + 4:.1f}">{html.escape(name)}</text>')
    return drawn


def across(of: Panel, count: float) -> float:
    """The x of a number of images."""
    return of.x + PLOT * math.log(count / COUNTS[0]) / math.log(COUNTS[-1] / COUNTS[0])


def height(of: Panel, value: float) -> float:
    """The y of a value."""
    share = math.log(max(value, of.low) / of.low) / math.log(of.high / of.low)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def free_place(of: Panel, guide: tuple[float, float], lines: list[list[float]]) -> tuple[float, float]:
    """Where the label of the dashed line stands: at or below it, where its box holds the fewest points of other lines.

    guide: its y at both ends; lines: y at each number of images.
    """
    wide = LETTER * len(of.at_label)
    knots = [across(of, count) for count in COUNTS]
    sampled = [
        (x, float(np.interp(x, knots, line))) for line in lines for x in map(float, np.arange(knots[0], knots[-1]))
    ]

    def crossings(x: float, y: float) -> int:
        return sum(x - 3 < at < x + wide + 3 and y - 13 < height_there < y + 4 for at, height_there in sampled)

    starts = np.arange(of.x + 4, of.x + PLOT - wide, 4)
    slope = (guide[1] - guide[0]) / PLOT
    above = [(float(x), guide[0] + slope * (x - of.x + (wide if slope < 0 else 0)) - 6) for x in starts]
    below = [(float(x), guide[0] + slope * (x - of.x + (0 if slope < 0 else wide)) + 16) for x in starts]
    return min([*above, *below], key=lambda place: crossings(*place))


def spread(wanted: dict[str, float]) -> dict[str, float]:
    """Heights of labels, near the wanted ones and GAP apart."""
    places: dict[str, float] = {}
    lowest = math.inf
    for name, y in sorted(wanted.items(), key=lambda one: -one[1]):
        lowest = places[name] = min(y, lowest - GAP)
    return places


if __name__ == "__main__":
    main()
