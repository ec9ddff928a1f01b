"""The model card for a person: the same sections as Markdown and as one HTML page that loads nothing."""

import math
import re
from dataclasses import dataclass
from typing import Any

from kshot.lifecycle.evidence.described_model import DescribedModel, Row
from kshot.lifecycle.pages import render

WEAKEST = 5  # classes that are named


@dataclass(frozen=True)
class Section:
    """A part of the card: paragraphs, then a table (its first row is the header), then a list."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    items: tuple[str, ...] = ()


def sections(about: DescribedModel) -> list[Section]:
    """The card's sections."""
    return [
        Section(
            "What it is for",
            (
                "It tells classes of images apart from a few labelled images of each (the support). The classes need "
                "not be among those of training: all figures below are about classes that it never saw in training.",
                f"It embeds images with {about.network} ({about.training}), and predicts by {about.classifier} "
                f"(method {about.method}).",
            ),
        ),
        Section(
            "Data",
            (
                f"{about.images:,} images of {about.class_count:,} classes, data version {about.data_version}, "
                f"{about.source}. Licence and rights of the images are not recorded.",
            ),
            (("split", "classes"), *((name, str(count)) for name, count in about.splits.items())),
        ),
        Section(
            "Accuracy",
            ("The mean over test episodes with its 95 % interval.",),
            (
                ("protocol", "accuracy", "episodes"),
                *((name, _figure(one), str(one["episodes"])) for name, one in about.metrics["accuracy"].items()),
            ),
        ),
        _groups(about.groups, about.protocol),
        _weak(about.classes, about.protocol),
        _unknown(about.metrics.get("unknown", {})),
        Section("Decision", (about.decision,), items=about.reasons),
        Section("Limits", items=about.limits),
    ]


def markdown(title: str, parts: list[Section]) -> str:
    """The card as Markdown."""
    lines = [f"# {_plain(title)}", ""]
    for part in parts:
        lines += [f"## {part.title}", ""]
        for paragraph in part.paragraphs:
            lines += [_plain(paragraph), ""]
        if part.table:
            head, *rows = part.table
            lines += [_line(head), _line(("---",) * len(head)), *map(_line, rows), ""]
        if part.items:
            lines += [*(f"- {_plain(item)}" for item in part.items), ""]
    return "\n".join(lines)


def html(title: str, parts: list[Section]) -> str:
    """The card as one page."""
    return render.pages().get_template("model_card.html.j2").render(title=title, sections=parts)


def _groups(groups: list[Row], protocol: str) -> Section:
    rows = [row for row in groups if row["protocol"] == protocol and row["group"]]
    if not rows:
        return Section("Groups", ("The classes have no groups.",))
    table = (("group", f"accuracy on {protocol}", "queries"), *((r["group"], _figure(r), r["queries"]) for r in rows))
    return Section("Groups", (), table)


def _weak(classes: list[Row], protocol: str) -> Section:
    ours = [row for row in classes if row["protocol"] == protocol]
    ordered = sorted(ours, key=lambda row: (float(row["accuracy"]), _rotated(row)))[:WEAKEST]
    table = (
        ("class", f"accuracy on {protocol}", "queries"),
        *((_rotated(row), _figure(row), row["queries"]) for row in ordered),
    )
    return Section(
        "Weakest classes", (f"The {len(ordered)} of {len(ours)} test classes with the lowest accuracy.",), table
    )


def _unknown(figures: dict[str, Any]) -> Section:
    if not figures:
        return Section("Images of no class", ("It was not measured on images that belong to no class of the support.",))
    table = (
        ("protocol", "unknown images accepted", "known images accepted", "area under the curve"),
        *(
            (name, render.percent(one["false_accept"]), render.percent(one["accepted"]), render.figure(one["auroc"]))
            for name, one in figures.items()
        ),
    )
    return Section(
        "Images of no class", ("How often it takes an image of a class outside the support for one inside it.",), table
    )


def _figure(row: Any) -> str:
    """Accuracy and interval of a row of metrics.json (`mean`) or of a CSV file (`accuracy`, a missing end is empty)."""
    mean, low, high = (_number(row.get(key)) for key in ("mean" if "mean" in row else "accuracy", "low", "high"))
    return f"{render.percent(mean)} {render.bounds({'low': low, 'high': high})}"


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)


def _rotated(row: Row) -> str:
    turns = int(float(row.get("rotation") or 0))
    return row["class"] + (f" @{90 * turns}" if turns else "")


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names come from folders and may contain anything."""
    return re.sub(r"([\\`*_<|#])", r"\\\1", " ".join(text.encode(errors="backslashreplace").decode().split()))
