"""Pages load nothing external: every template, and the format of the figures in it."""

from pathlib import Path

import pytest

from kshot.lifecycle.pages import render
from kshot.lifecycle.pages.render import NONE, POLICY, bounds, figure, whole
from tests.lifecycle.page_loads import in_style, loads

FOLDER = Path(render.__file__).parent
TEMPLATES = sorted(FOLDER.rglob("*.j2"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_loads_anything_and_each_forbids_it(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    # An image's address is made by the code, always as one that holds the image: `address_of`.
    assert [found for found in loads(text) if not found.startswith("{{")] == []
    if template.name.startswith("_"):  # a part of the report, which forbids it
        return
    assert text.index("{{ policy }}") < text.index("<style>")


def test_the_pages_that_are_known_are_among_them() -> None:
    assert {path.name.removesuffix(".html.j2") for path in TEMPLATES} >= {"report", "audit", "drift", "tasks"}
    assert in_style((FOLDER / "page.css").read_text(encoding="utf-8")) == []


def test_the_policy_allows_images_within_the_page_alone() -> None:
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in POLICY


def test_what_loads_is_found() -> None:
    page = "<style>a{background:url(http://x)}</style><img src='https://y'><a href='http://no'>a</a><script></script>"
    assert loads(page) == ["url(http://x)", "https://y", "<script>"]


def test_missing_figures_are_dashes() -> None:
    nan = float("nan")
    assert [figure(nan), whole(None), bounds({"low": nan, "high": 1.0})] == [NONE] * 3
    assert [figure(0.98765, 3), whole(1004.0), bounds({"low": 0.985, "high": 0.9872})] == [
        "0.988",
        "1,004",
        "[98.50, 98.72]",
    ]


def test_a_date_is_not_broken_and_its_sentence_is_escaped() -> None:
    assert render.whole_dates("<b> on 2026-11-28") == '&lt;b&gt; on <span class="together">2026-11-28</span>'


def test_a_template_is_compiled_once_for_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(render, "COMPILED", render.Compiled())
    compile_ = render.Environment.compile

    def counted(environment: render.Environment, source: str, name: str, *rest: object) -> object:
        compiled.append(name)
        return compile_(environment, source, name, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(render.Environment, "compile", counted)
    for _ in range(2):
        render.pages().get_template("audit.html.j2")
    assert compiled.count("audit.html.j2") == 1
