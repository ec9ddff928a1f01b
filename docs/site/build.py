"""Build the documentation site: `python -m docs.site.build` writes docs/_build/html. A warning is an error.

The repository's Markdown is copied, file by file in the same places, so that a link that works on a file in the
repository is a link of the site, and one that leads nowhere is a warning.
"""

import argparse
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

from docs.site.api import api_pages, modules
from docs.site.commands import command_pages, index_page

ROOT = Path(__file__).parents[2]
PAGES = (
    *("*.md", "docs/*.md", "docs/notebooks/*.ipynb", "docs/decisions/*.md"),
    *("benchmarks/*.md", "benchmarks/omniglot/*.md"),
)
# What pages show or link to beside other pages.
FILES = ("LICENSE", "params.yaml", "docs/*.png", "docs/*.svg", "docs/*.yaml")
HERE = "docs/site"
# Attributes by which a browser loads something when it shows a page; a link that a person follows is none.
LOADED = {"src", "srcset", "poster", "data"}
CSS_LOADED = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


def write_source(source: Path, api: dict[str, list[str]]) -> None:
    """Write what Sphinx reads into the empty folder `source`: pages of the repository, and the reference."""
    for pattern in (*PAGES, *FILES):
        for file in ROOT.glob(pattern):
            _copy(file, source / file.relative_to(ROOT))
    for name in ("index.md", "conf.py"):
        _copy(ROOT / HERE / name, source / name)
    _write_index_of_decisions(source / "docs/decisions")

    from kshot.cli import parser

    top = parser()
    _write(source / "reference/commands", {"index": index_page(top), **command_pages(top)}, ".md")
    _write(source / "reference/api", api_pages(api), ".rst")


def loads(html: Path) -> list[str]:
    """Addresses of other machines that the pages and styles below `html` load, as `file: address`."""
    found = []
    for file in sorted(html.rglob("*")):
        if file.suffix == ".html":
            page = _Page()
            page.feed(file.read_text(encoding="utf-8"))
            addresses = page.loaded
        elif file.suffix == ".css":
            addresses = CSS_LOADED.findall(file.read_text(encoding="utf-8"))
        else:
            continue
        found += [f"{file.relative_to(html)}: {address}" for address in addresses]
    return found


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loaded = name in LOADED or (tag == "link" and name == "href")
            if loaded and re.match(r"(https?:)?//", value or "", re.IGNORECASE):
                self.loaded.append(value or "")
            if name == "style":
                self.loaded += CSS_LOADED.findall(value or "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.loaded += CSS_LOADED.findall(data)


def _write_index_of_decisions(folder: Path) -> None:
    names = sorted(file.stem for file in folder.glob("*.md"))
    lines = ["# Decisions", "", "Choices that somebody may question: what, why, and what else was tried.", ""]
    (folder / "index.md").write_text(
        "\n".join([*lines, "```{toctree}", ":maxdepth: 1", "", *names, "```", ""]), encoding="utf-8"
    )


def _write(folder: Path, pages: dict[str, str], suffix: str) -> None:
    folder.mkdir(parents=True)
    for name, text in pages.items():
        (folder / f"{name}{suffix}").write_text(f"{text.rstrip()}\n", encoding="utf-8")


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def build(folder: Path, api: dict[str, list[str]]) -> int:
    """Build the site in `folder`/html; returns an exit code."""
    from sphinx.cmd.build import main as sphinx

    source, html = folder / "source", folder / "html"
    for old in (source, html):
        shutil.rmtree(old, ignore_errors=True)
    write_source(source, api)
    code = sphinx(["-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees"), str(source), str(html)])
    outside = loads(html)
    if outside:
        print(f"{len(outside)} loads from elsewhere; the site must hold all that it shows:", *outside, sep="\n")
    return code or bool(outside)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--output", type=Path, default=ROOT / "docs/_build")
    folder = options.parse_args().output
    code = build(folder, modules("kshot", ROOT / "src/kshot"))
    if not code:
        print(f"open {folder / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
