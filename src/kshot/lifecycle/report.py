"""The page that a person is sent after a retraining: one HTML file that loads nothing from anywhere."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from kshot.lifecycle import report_sections
from kshot.lifecycle.report_plots import legend_mark, line_chart, scatter

NONE = "\N{EN DASH}"  # stands for a figure that there is not

# What the page says of the alias that a version got.
VERDICTS = {
    "champion": ("good", "is the champion"),
    "challenger": ("held", "stays a challenger"),
}


@dataclass(frozen=True)
class ReportFacts:
    """What the stage outputs cannot know.

    `decision` is "champion" or "challenger", the alias that the version got; other words are shown as they are, None
    says that nobody decided. `reasons` stand below it. `lineage` is shown as a table, in its order.
    """

    lineage: Mapping[str, str] = field(default_factory=dict)
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    version: str | None = None


def write_report(root: Path, path: Path, facts: ReportFacts) -> Path:
    """Write the page of the project at `root` to `path` and return `path`.

    A stage output that is missing or empty leaves a line saying so in its place, and nothing is half-written.
    """
    return write_page(render(root, facts), path)


def write_page(page: str, path: Path) -> Path:
    """Write `page` to `path`, whole or not at all, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # A file name that is no text (a lone surrogate) may stand in a class name: it is spelled out.
    temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    temporary.replace(path)
    return path


def render(root: Path, facts: ReportFacts) -> str:
    """The page as text."""
    mood, verdict = headline(facts)
    sections = report_sections.read_sections(root)
    return pages().get_template("report.html.j2").render(facts=facts, mood=mood, verdict=verdict, **sections)


def pages() -> Environment:
    """The templates of pages, with what they may call."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["figure"] = figure
    environment.filters["breakable"] = breakable
    environment.globals.update(line_chart=line_chart, scatter=scatter, legend_mark=legend_mark)
    return environment


def headline(facts: ReportFacts) -> tuple[str, str]:
    """A mood (good, held or open) and the sentence above everything else."""
    subject = f"Version {facts.version}" if facts.version else "This model"
    if facts.decision is None:
        return "open", f"{subject}: nobody has decided yet" if facts.version else "This model is not registered"
    mood, words = VERDICTS.get(facts.decision, ("open", f"- {facts.decision}"))
    return mood, f"{subject} {words}"


def percent(value: Any, digits: int = 2) -> str:
    """A share as per cent, "98.61 %"; a dash for none."""
    return NONE if value is None or value != value else f"{100 * float(value):.{digits}f} %"


def figure(value: Any) -> str:
    """A number with as many digits as are worth reading; a dash for none."""
    return NONE if value is None or value != value else f"{float(value):.4g}"


def breakable(name: str) -> Markup:
    """A name of folders, escaped, that a narrow column may break after a slash or an underscore."""
    broken = str(escape(name)).replace("/", "/<wbr>").replace("_", "_<wbr>")
    return Markup(broken)
