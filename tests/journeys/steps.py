"""The steps of a journey: lines that a person types, and the expected result of each."""

import dataclasses
import re

import pytest

from tests.journeys.blocks import REPOSITORY, blocks
from tests.journeys.person import Ended, Person


@dataclasses.dataclass(frozen=True)
class Step:
    """A line for the shell.

    page: the page, or pages, that print the line.
    printed: the lines there that this one stands for, where it fills in a name or adds a setting.
    codes: the exit codes that are right.
    shows, hides: patterns that the output has, and has not.
    until: what is printed when Ctrl-C ends a command that serves.
    waits: why the step fails for now. A step that passes all the same fails the test, so that this goes.
    needed: without it the later steps mean nothing.
    """

    command: str
    page: str | tuple[str, ...] = ""
    printed: str | tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    until: str = ""
    waits: str = ""
    needed: bool = False

    @property
    def on_pages(self) -> set[tuple[str, str]]:
        """The page and the line of each line that the step runs."""
        lines = (self.printed,) if isinstance(self.printed, str) else self.printed or (self.command,)
        pages = (self.page,) if isinstance(self.page, str) else self.page
        return {(page, line) for page in pages for line in lines if page}


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

    def runs_python(self, page: str) -> Ended:
        """Run the one piece of Python of a page. Fails with its output."""
        (snippet,) = (block for block in blocks(REPOSITORY / page) if block.is_python)
        ended = self.person.runs_python(snippet.lines)
        assert ended.code == 0, ended.output
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
