"""The files of the example in docs/plugins.md, written where the page says."""

from pathlib import Path

from tests.journeys.blocks import REPOSITORY, blocks

PAGE = "docs/plugins.md"
EXTRA = "kshot-extra/"  # begins the files of the distribution; the others are the project's


def files() -> dict[str, str]:
    """Place to text of each file, as its first line names it."""
    found = {}
    for block in blocks(REPOSITORY / PAGE):
        if block.lines[0].startswith("# "):
            found[block.lines[0].removeprefix("# ")] = "\n".join([*block.lines[1:], ""])
    return found


def write_project(root: Path) -> None:
    """The files of the project, in `root`."""
    _write(root, {place: text for place, text in files().items() if not place.startswith(EXTRA)})


def write_distribution(folder: Path) -> None:
    """The files of the distribution, to be built in `folder`."""
    _write(folder, {place.removeprefix(EXTRA): text for place, text in files().items() if place.startswith(EXTRA)})


def _write(root: Path, texts: dict[str, str]) -> None:
    for place, text in texts.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, encoding="utf-8")
