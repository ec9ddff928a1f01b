"""On the page of a phone's width, in Chromium: an honest unknown, and nothing that is wider than the phone."""

import json
from pathlib import Path

import pytest

from kshot import Client
from tests.browser import CHROMIUM, chromium
from tests.serve.test_groups_on_page import served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
WIDTH = 390


def test_an_unknown_image_gets_no_percentages_and_nothing_is_wider_than_a_phone(
    project: Path, tmp_path: Path, classes: dict[str, list[bytes]]
) -> None:
    names = list(classes)
    (tmp_path / "stranger.png").write_bytes(classes[names[9]][0])
    with served(project) as at, Client(at) as client, chromium() as page:
        client.create("shop")
        for name in names[:3]:
            client.teach("shop", name, classes[name][:2])
        client.set_unknown_threshold("shop", 1e-3)
        page.size(WIDTH, 844)
        page.open(f"{at}/")
        page.wait("document.getElementById('ask-hint').textContent === 'Predictions are one of 3 classes, or unknown.'")
        page.choose("#ask-drop input", [tmp_path / "stranger.png"])
        page.wait("document.querySelectorAll('.prediction').length === 1")
        text = page.run("document.querySelector('.prediction').innerText")
        assert "Unknown" in text and "Nearest class: " in text and "nearest example: " in text and "%" not in text
        page.run("document.getElementById('again').click()")
        logged = page.wait("document.querySelector('#items .item')?.innerText")
        assert "Unknown, nearest " in logged and "%" not in logged
        client.set_unknown_threshold("shop", 1e9)
        page.choose("#ask-drop input", [tmp_path / "stranger.png"])
        page.wait("document.querySelectorAll('.prediction').length === 2")
        assert page.run("document.querySelector('.prediction').innerText").count("%") == 3
        page.click("#open-settings")
        dialog = page.wait(
            "[...document.querySelectorAll('dialog[open]')].map((one) => [one.scrollWidth, one.clientWidth])[0]"
        )
        assert dialog[0] <= dialog[1]
        assert page.run("document.documentElement.scrollWidth") == WIDTH
        page.open(f"{at}/docs")
        assert page.run("document.documentElement.scrollWidth") == WIDTH
        lines = page.run("[...document.querySelectorAll('code')].map((one) => one.getClientRects().length)")
        assert len(lines) > 40 and lines.count(1) > 0.8 * len(lines) and max(lines) == 2  # one long address has two
        assert page.errors == []


FOCUSED = "document.activeElement.getAttribute('aria-label')"
STATUS = "document.getElementById('status').textContent"


def test_the_focus_stays_where_a_person_works_by_keyboard(
    project: Path, tmp_path: Path, classes: dict[str, list[bytes]]
) -> None:
    name, other, *_ = classes
    for number, content in enumerate(classes[name][:3]):
        (tmp_path / f"{number}.png").write_bytes(content)
    with served(project) as at, Client(at) as client, chromium() as page:
        client.create("shop")
        client.teach("shop", name, classes[name][3:5])
        client.teach("shop", other, classes[other][:1])
        page.open(f"{at}/")
        card = f"#classes > li[data-name={json.dumps(name)}]"
        page.wait(f"document.querySelectorAll({json.dumps(card + ' .delete')}).length === 2")
        page.run(f"document.querySelector({json.dumps(card + ' input')}).focus()")
        page.choose(f"{card} input", [tmp_path / "0.png", tmp_path / "1.png", tmp_path / "2.png"])
        page.wait(f"{STATUS} === '3 images taught to {name}.'")
        page.wait(f"document.querySelectorAll({json.dumps(card + ' .delete')}).length === 5")
        assert page.run(FOCUSED) == f"Choose images for class {name}"
        page.run(f"document.querySelector({json.dumps(card + ' .delete')}).focus()")
        page.key("Enter", 13, "\r")
        page.wait(f"{STATUS} === 'One example of {name} is deleted.'")
        page.wait(f"document.querySelectorAll({json.dumps(card + ' .delete')}).length === 4")
        assert str(page.run(FOCUSED)).startswith(f"Delete this example of {name}")
        page.run("document.getElementById('undo').focus()")
        page.key("Enter", 13, "\r")
        page.wait(f"{STATUS} === 'The example of {name} is back.'")
        page.wait(f"{FOCUSED}?.startsWith('Delete this example of {name}')")
        assert page.errors == []
