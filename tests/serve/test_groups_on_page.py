"""On the page, in Chromium: unknown images that look alike get their class with one touch, less those unticked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from kshot import Client
from kshot.serve.app import create_app
from kshot.serve.process import listening
from kshot.serve.service import open_service
from kshot.serve.settings import ServeSettings
from tests.browser import CHROMIUM, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of the project's service, which logs unknown images, on a port of its own in this process."""
    settings = ServeSettings(device="cpu", log="unknown")
    with listening("127.0.0.1", 0) as at:
        server = uvicorn.Server(uvicorn.Config(create_app(open_service(root, settings)), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
        thread.start()
        try:
            yield "http://127.0.0.1:{1}".format(*at.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def test_a_group_of_unknown_images_is_labelled_with_one_touch(project: Path, classes: dict[str, list[bytes]]) -> None:
    names = list(classes)
    with served(project) as at, Client(at) as client, chromium() as page:
        client.create("shop")
        for name in names[:2]:
            client.teach("shop", name, classes[name][:1])
        client.set_unknown_threshold("shop", 1e-3)  # so small that an image is near itself alone
        often, once = classes[names[5]][0], classes[names[9]][0]
        client.recognise("shop", [often, often, often, once])
        page.open(f"{at}/")
        page.wait("!document.getElementById('review').hidden")
        page.run("document.getElementById('order').value = 'groups'")
        page.run("document.getElementById('order').dispatchEvent(new Event('change'))")
        page.wait("document.querySelectorAll('.group').length === 2")
        assert page.run("[...document.querySelectorAll('.group h3')].map((one) => one.textContent)") == [
            "3 unknown images that look alike",
            "1 unknown image alone",
        ]
        page.click(".group input[type=checkbox]")
        assert page.run("document.querySelector('.group form button').textContent") == "Label 2 images"
        page.fill(".group form input", "wren <b>")
        page.click(".group form button")
        page.wait("document.getElementById('status').textContent.startsWith('Write your name first')")
        page.fill("#by", "Ada")
        page.click(".group form button")
        page.wait("document.querySelector('.group .done')?.textContent === '2 images labelled as wren <b>'")
        labels = [one.given for one in client.feedback(order="newest")]
        assert sorted(labels, key=str) == [None, None, "wren <b>", "wren <b>"]
        page.run("document.getElementById('again').click()")
        page.wait("document.querySelectorAll('.group').length === 2 && !document.querySelector('.group .done')")
        assert page.errors == []
