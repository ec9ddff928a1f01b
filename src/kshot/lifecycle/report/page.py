"""Renders the report of a retraining as one HTML file without external resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.pages.svg import colour, legend_mark, line_chart
from kshot.lifecycle.pipeline.durations import Times, readable
from kshot.lifecycle.report import sections as report_sections

# Wording for the alias that a version got; in the past tense, because the page outlives the moment.
VERDICTS = {
    "champion": ("good", "became champion"),
    "challenger": ("held", "was not promoted"),
}


@dataclass(frozen=True)
class ReportFacts:
    """Facts that the stage outputs do not contain.

    lineage   shown as a table, in its order
    decision  "champion" or "challenger", the alias that the version got; other text is shown unchanged; None: undecided
    reasons   shown below the decision
    version   number of the registered version
    on        date of the decision, '' if unknown
    times     durations of the retraining
    """

    lineage: Mapping[str, str] = field(default_factory=dict)
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    version: str | None = None
    on: str = ""
    times: Times | None = None


def write_report(root: Path, path: Path, facts: ReportFacts) -> Path:
    """Write the page of the project at `root` to `path` and return `path`.

    A missing or empty stage output is replaced by a line that says so. The file is written atomically.
    """
    return write_page(render(root, facts), path)


def render(root: Path, facts: ReportFacts) -> str:
    """The page as text."""
    mood, verdict = headline(facts)
    sections = report_sections.read_sections(root)
    computed = {stage.stage: stage.computed for stage in facts.times.stages} if facts.times else {}
    environment = pages()
    environment.filters["duration"] = readable
    environment.globals.update(
        line_chart=line_chart, legend_mark=legend_mark, colour=colour, place=report_sections.place
    )
    return environment.get_template("report.html.j2").render(
        facts=facts, mood=mood, verdict=verdict, computed=computed, **sections
    )


def headline(facts: ReportFacts) -> tuple[str, str]:
    """A mood (good, held or open) and the sentence at the top of the page."""
    subject = f"Version {facts.version}" if facts.version else "This model"
    if facts.decision is None:
        return "open", f"{subject}: nobody has decided yet" if facts.version else "This model is not registered"
    if facts.decision not in VERDICTS:
        return "open", f"{subject}{', ' + facts.on if facts.on else ''}: {facts.decision}"
    mood, what = VERDICTS[facts.decision]
    return mood, f"{subject} {what}{' on ' + facts.on if facts.on else ''}"
