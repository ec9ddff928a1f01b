"""The code blocks of README.md and of the pages in docs: their commands, as a person would type them."""

import dataclasses
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = ("README.md", "docs/*.md", "benchmarks/omniglot/README.md")
PROMPT = "$ "
# The programs that a page may call; a block whose first line calls none of them is text.
PROGRAMS = r"(?:\.venv/bin/)?kshot|make|python3?|git|dvc|mlflow|prefect|docker|createdb|cp|npm|ssh-keygen|model_signing"
COMMAND = re.compile(rf"(?:[A-Z_]+=(?:\"[^\"]*\"|\S+) )*(?:export |(?:{PROGRAMS})(?: |$))")
REMARK = re.compile(r"\s+# .*|\s{3,}\S.*")  # after a command: a comment, or a column that explains it


@dataclasses.dataclass(frozen=True)
class Block:
    """One indented or fenced block of a page: its lines without the indent."""

    page: str
    lines: tuple[str, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of a block without what they print and without remarks; none of a block of text or Python.

        A command that something printed follows has a prompt. What comes before the first prompt are commands too, if
        the block begins with one.
        """
        joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(self.lines)).split("\n")
        prompts = [place for place, line in enumerate(joined) if line.startswith(PROMPT)]
        plain = joined[: min(prompts, default=len(joined))] if COMMAND.match(joined[0]) else []
        prompted = [joined[place].removeprefix(PROMPT) for place in prompts]
        return tuple(REMARK.sub("", line) for line in (*plain, *prompted) if line.strip())

    @property
    def is_python(self) -> bool:
        """Whether the block is a piece of Python."""
        return re.match(r"import |from \S+ import ", self.lines[0]) is not None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order. An indented one begins after an empty line, as Markdown says."""
    found: list[list[str]] = []
    fenced = inside = False
    before = ""
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced, inside = not fenced, False
            if fenced:
                found.append([])
        elif fenced:
            found[-1].append(line)
        elif line.startswith("    ") and (inside or not before.strip()):
            if not inside:
                found.append([])
            found[-1].append(line[4:])
            inside = True
        elif inside and not line.strip():
            found[-1].append("")  # an empty line within, unless the block ends with it
        else:
            inside = False
        before = line
    name = page.relative_to(REPOSITORY).as_posix()
    return [Block(name, tuple("\n".join(lines).strip("\n").split("\n"))) for lines in found]


def all_blocks() -> list[Block]:
    """The blocks of every page."""
    return [block for pattern in PAGES for page in sorted(REPOSITORY.glob(pattern)) for block in blocks(page)]
