"""The steps of a journey: lines that a person types, and what has to come of each."""

import dataclasses
import re

import pytest

from tests.journeys.person import Ended, Person


@dataclasses.dataclass(frozen=True)
class Step:
    """A line for the shell.

    page, printed: the page that prints the line, and the line there where the journey has to fill in a name or adds
    a setting. shows: patterns that the output has. until: what is printed when Ctrl-C ends a command that serves.
    waits: why the step fails for now (strict: it has to go when the step passes). needed: without it the later
    steps mean nothing.
    """

    command: str
    page: str = ""
    printed: str = ""
    codes: tuple[int, ...] = (0,)
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    until: str = ""
    waits: str = ""
    needed: bool = False

    @property
    def on_page(self) -> tuple[str, str]:
        """The page and the line as it is printed there; two empty texts for a step of no page."""
        return (self.page, self.printed or self.command) if self.page else ("", "")


@dataclasses.dataclass
class Journey:
    """The steps of one person in one project, in their order."""

    person: Person
    failed: str = ""

    def walk(self, step: Step) -> Ended:
        """Do a step and check it. Fails with the command's output."""
        assert not self.failed, f"not walked: `{self.failed}` failed before"
        ended = self.person.types(step.command, until=step.until)
        wrong = problems(step, ended)
        if wrong and step.needed:
            self.failed = step.command
        assert not wrong, f"$ {step.command}\n{ended.output}\n({wrong}; {ended.seconds:.0f} s)"
        return ended


def problems(step: Step, ended: Ended) -> str:
    """What is not as `step` says; empty if all is. Blanks and line breaks in the output count as one blank."""
    output = " ".join(ended.output.split())
    if ended.code not in step.codes:
        return f"exit code {ended.code}, not {' or '.join(map(str, step.codes))}"
    missing = [pattern for pattern in step.shows if not re.search(pattern, output)]
    unwanted = [pattern for pattern in step.hides if re.search(pattern, output)]
    if "Traceback (most recent call last)" in output:
        unwanted.append("Traceback")
    return "; ".join([*(f"does not show {each!r}" for each in missing), *(f"shows {each!r}" for each in unwanted)])


def parameters(steps: tuple[Step, ...]) -> pytest.MarkDecorator:
    """A test for each step, named by its place and its line."""
    return pytest.mark.parametrize(
        "step",
        [
            pytest.param(
                step,
                marks=[pytest.mark.xfail(strict=True, reason=step.waits)] if step.waits else [],
                id=f"{number:02d} {step.command[:60]}",
            )
            for number, step in enumerate(steps, 1)
        ],
    )
