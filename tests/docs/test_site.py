"""The documentation site builds without a warning, loads nothing external, and covers the whole package."""

import argparse
import doctest
from pathlib import Path

import pytest

from docs.site import docstrings
from docs.site.api import api_pages, modules
from docs.site.build import loads, write_source
from docs.site.commands import command_pages, index_page
from docs.site.docstrings import restructured

ROOT = Path(__file__).parents[2]


def test_the_pages_of_the_repository_and_the_reference_are_what_sphinx_reads(tmp_path: Path) -> None:
    # `make docs`, which CI runs too, lets Sphinx build them: a warning, a dead link or a load from elsewhere fails.
    write_source(tmp_path, {"kshot": ["kshot.distances"]})
    assert ".. automodule:: kshot.distances\n" in (tmp_path / "reference/api/kshot.rst").read_text()
    assert "--note TEXT" in (tmp_path / "reference/commands/data.md").read_text()
    decision = "docs/decisions/0001-settings-change-the-file"
    assert (tmp_path / f"{decision}.md").read_text() == (ROOT / f"{decision}.md").read_text()
    assert Path(decision).name in (tmp_path / "docs/decisions/index.md").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example.org/a.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//cdn.example.org/a.css">'),
        ("a.html", "<style>@import 'http://cdn.example.org/a.css';</style>"),
        ("a.html", '<p style="background: url(https://cdn.example.org/a.png)">a</p>'),
        ("_static/a.css", "@font-face { src: url('https://fonts.example.org/a.woff2') }"),
    ],
)
def test_a_load_from_elsewhere_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "_static").mkdir()
    (tmp_path / name).write_text(text)
    assert [line.partition(":")[0] for line in loads(tmp_path)] == [name]


def test_a_link_and_a_file_of_the_site_are_no_load_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">a</a><img src="../b.png"><script src="c.js"></script>'
    )
    assert loads(tmp_path) == []


def test_every_public_module_of_the_package_is_on_a_page() -> None:
    tree = modules("kshot", ROOT / "src/kshot")
    files = {
        ".".join(file.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for file in (ROOT / "src/kshot").rglob("*.py")
        if "cli" not in file.parts and file.stem != "__main__"
    }
    named = {name for package, names in tree.items() for name in (package, *names)}
    assert files - named == {"kshot.lifecycle.serving.served_model"}
    assert named - files == set()
    pages = api_pages(tree)
    assert all(f".. automodule:: {name}\n" in pages[package] for package, names in tree.items() for name in names)


def test_a_new_folder_gets_a_page_by_itself(tmp_path: Path) -> None:
    for name in ("__init__.py", "a.py", "_private.py", "new/__init__.py", "new/b.py", "no_package/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert modules("top", tmp_path) == {"top": ["top.a"], "top.new": ["top.new.b"]}


def test_commands_and_their_subcommands_have_their_options_on_a_page() -> None:
    top = argparse.ArgumentParser(prog="p")
    verbs = top.add_subparsers()
    data = verbs.add_parser("data", help="images")
    add = data.add_subparsers().add_parser("add", help="bring <images> in")
    add.add_argument("--note", metavar="TEXT", help="a remark for `x_y` of 5 %%")
    add.add_argument("--hidden", help=argparse.SUPPRESS)
    assert "| [`p data`](data.md) | images |" in index_page(top)
    page = command_pages(top)["data"]
    assert "## p data add\n\nbring \\<images\\> in\n" in page
    assert "`--note TEXT`\n: a remark for `x_y` of 5 %\n" in page
    assert "hidden" not in page.partition("```text")[2].partition("```")[2].partition("```")[2]


def test_docstrings_become_what_sphinx_reads() -> None:
    assert doctest.testmod(docstrings).failed == 0
    assert restructured(["Text of a_ and `b`s:", "", "    x = y*z", "", "- one", "  more", "- two"]) == [
        *("Text of a\\_ and ``b``\\ s:", ""),
        *("::", "", "    x = y*z", ""),
        *("- one more", "- two", ""),
    ]
    assert restructured(["Example.", "", ">>> f(*a)", "1"]) == ["Example.", "", ">>> f(*a)", "1", ""]
