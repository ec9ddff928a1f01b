"""The page that a person is sent after a retraining: one HTML file that loads nothing from anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kshot.lifecycle import report_sections
from kshot.lifecycle.pages import pages, write_page
from kshot.lifecycle.report_plots import legend_mark, line_chart, scatter

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


def render(root: Path, facts: ReportFacts) -> str:
    """The page as text."""
    mood, verdict = headline(facts)
    sections = report_sections.read_sections(root)
    environment = pages()
    environment.globals.update(
        line_chart=line_chart, scatter=scatter, legend_mark=legend_mark, place=report_sections.place
    )
    return environment.get_template("report.html.j2").render(facts=facts, mood=mood, verdict=verdict, **sections)


def headline(facts: ReportFacts) -> tuple[str, str]:
    """A mood (good, held or open) and the sentence above everything else."""
    subject = f"Version {facts.version}" if facts.version else "This model"
    if facts.decision is None:
        return "open", f"{subject}: nobody has decided yet" if facts.version else "This model is not registered"
    mood, words = VERDICTS.get(facts.decision, ("open", f"- {facts.decision}"))
    return mood, f"{subject} {words}"
