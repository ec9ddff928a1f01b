"""The page that a person is sent after a retraining: one HTML file that loads nothing from anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kshot.lifecycle.pages.render import pages, write_page
from kshot.lifecycle.pages.svg import legend_mark, line_chart, scatter
from kshot.lifecycle.pipeline.durations import Times, readable
from kshot.lifecycle.report import sections as report_sections

# What the page says of the alias that a version got: what happened then, because the page outlives it.
VERDICTS = {
    "champion": ("good", "became champion"),
    "challenger": ("held", "was not promoted"),
}


@dataclass(frozen=True)
class ReportFacts:
    """What the stage outputs cannot know.

    `decision` is "champion" or "challenger", the alias that the version got; other words are shown as they are, None
    says that nobody decided. `reasons` stand below it. `lineage` is shown as a table, in its order. `on` is the date of
    the decision, '' where it is not known; `times`, what the retraining took.
    """

    lineage: Mapping[str, str] = field(default_factory=dict)
    decision: str | None = None
    reasons: tuple[str, ...] = ()
    version: str | None = None
    on: str = ""
    times: Times | None = None


def write_report(root: Path, path: Path, facts: ReportFacts) -> Path:
    """Write the page of the project at `root` to `path` and return `path`.

    A stage output that is missing or empty leaves a line saying so in its place, and nothing is half-written.
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
        line_chart=line_chart, scatter=scatter, legend_mark=legend_mark, place=report_sections.place
    )
    return environment.get_template("report.html.j2").render(
        facts=facts, mood=mood, verdict=verdict, computed=computed, **sections
    )


def headline(facts: ReportFacts) -> tuple[str, str]:
    """A mood (good, held or open) and the sentence above everything else."""
    subject = f"Version {facts.version}" if facts.version else "This model"
    if facts.decision is None:
        return "open", f"{subject}: nobody has decided yet" if facts.version else "This model is not registered"
    if facts.decision not in VERDICTS:
        return "open", f"{subject}{', ' + facts.on if facts.on else ''}: {facts.decision}"
    mood, what = VERDICTS[facts.decision]
    return mood, f"{subject} {what}{' on ' + facts.on if facts.on else ''}"
